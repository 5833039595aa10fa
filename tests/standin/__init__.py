"""A stand-in for Juju: it runs real charms, with real Pebble, where there is no Kubernetes and no controller.

What is real: the charm's process, started for each event as Juju's dispatch starts it; the hook tools' contract;
Pebble; what Pebble runs, as the user of metadata.yaml, in namespaces of its own with an address of its own.
What is not: Juju. The rules of databags, secrets, leadership, events and their order are written here anew, from Juju's
documentation and from what ops expects. Hooks run one at a time over the whole model. There are no container images:
a unit sees this machine's programs. The functional tests, on a real controller, are the other half.

Begin with ``juju.py``: ``Juju.deploy``, ``integrate``, ``settle``. Layers, each using only those below it:

    juju       what an operator does: deploy, integrate, scale, configure, run an action, kill, remove
    agent      dispatches one event to a charm, or to a player (an application that a test plays)
    hooks      one hook's view of the model, by the names of Juju's hook tools; what it writes waits for its success
    lifecycle  which events follow from a change of the model
    model      applications, units, relations, secrets: values only
    pod        a unit's namespaces, its Pebble and its network
"""
