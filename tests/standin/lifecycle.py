"""Which events follow from a change of the model, for whom and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.standin.model import Event, Model, Relation, Secret, Unit


class Lifecycle:
    """Changes the model and queues for every unit what Juju would tell it.

    An event that waits in a queue already is not queued again, as Juju tells a charm once of what changed twice.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def install(self, unit: Unit, storage: Iterable[str]) -> None:
        """A new unit: its storage, install, the relations that are there, leadership, configuration, start."""
        for name in storage:
            self.tell(unit, f"{name}-storage-attached", JUJU_STORAGE_ID=f"{name}/0")
        self.tell(unit, "install")
        for relation in self._model.relations_of(unit.app):
            if not relation.dying:
                self._created(relation, unit)
        if self._model.is_leader(unit.name):
            self.tell(unit, "leader-elected")
        self.tell(unit, "config-changed")
        self.tell(unit, "start")

    def rescheduled(self, unit: Unit) -> None:
        """The unit's pod is new, on its old storage."""
        unit.started = False
        for name in ("upgrade-charm", "config-changed", "start"):
            self.tell(unit, name)

    def related(self, relation: Relation) -> None:
        """A new relation: every unit of both sides learns of it."""
        for app in dict.fromkeys(endpoint.app for endpoint in relation.endpoints):
            for unit in self._model.app(app).units.values():
                if not unit.dying:
                    self._created(relation, unit)

    def entered(self, relation: Relation, unit: Unit) -> None:
        """``unit`` is ready for the relation (it is about to see -relation-created): both sides meet."""
        if unit.name in relation.members:
            return
        relation.members.add(unit.name)
        relation.bag(unit.name).update(
            {"egress-subnets": f"{unit.address}/32", "ingress-address": unit.address, "private-address": unit.address}
        )
        for name in relation.others(unit.name):
            self._joined(relation, unit, name)
            self._joined(relation, self._model.unit(name), unit.name)
        remote = relation.remote(unit.app).app
        if relation.data.get(remote) and not relation.is_peer:
            self._changed(relation, unit, remote)

    def databag_changed(self, relation: Relation, owner: str) -> None:
        """The databag of ``owner`` (an application or a unit) was written: who can see it learns of it."""
        app = owner.partition("/")[0]
        for name in sorted(relation.members):
            unit = self._model.unit(name)
            own_app_data = owner == app and relation.is_peer and self._model.is_leader(name)
            if relation.remote(unit.app).app == app and name != owner and not own_app_data and not unit.dying:
                self._changed(relation, unit, owner)

    def address_changed(self, unit: Unit) -> None:
        """The unit's pod has a new address: the other sides see it in the unit's databags."""
        for relation in self._model.relations_of(unit.app):
            if unit.name in relation.members:
                relation.bag(unit.name).update(
                    {
                        "egress-subnets": f"{unit.address}/32",
                        "ingress-address": unit.address,
                        "private-address": unit.address,
                    }
                )
                self.databag_changed(relation, unit.name)

    def unrelated(self, relation: Relation) -> None:
        """The relation goes: every unit sees the others depart, then the relation broken."""
        relation.dying = True
        for name in sorted(relation.members):
            self._leaves(relation, self._model.unit(name), departing=None)
        self.forget_if_empty(relation)

    def dying(self, unit: Unit, storage: Iterable[str]) -> None:
        """The unit goes: it leaves its relations, detaches its storage, stops and is removed."""
        unit.dying = True
        for relation in self._model.relations_of(unit.app):
            if unit.name not in relation.members:
                continue
            if not relation.dying:
                self._leaves(relation, unit, departing=unit.name)
            for name in relation.others(unit.name):
                self._departed(relation, self._model.unit(name), unit.name, departing=unit.name)
        for name in storage:
            self.tell(unit, f"{name}-storage-detaching", JUJU_STORAGE_ID=f"{name}/0")
        self.tell(unit, "stop")
        self.tell(unit, "remove")

    def left(self, relation: Relation, unit: str) -> None:
        """``unit`` has seen the relation broken."""
        relation.members.discard(unit)
        relation.visible.pop(unit, None)
        self.forget_if_empty(relation)

    def forget_if_empty(self, relation: Relation) -> None:
        """Removes a dying relation that the last unit has left, with what was granted through it."""
        if relation.dying and not relation.members:
            self._model.relations.pop(relation.id, None)
            for secret in self._model.secrets.values():
                secret.grants = {name: scope for name, scope in secret.grants.items() if scope != relation.id}

    def elected(self, unit: Unit) -> None:
        """The unit becomes its application's leader."""
        self._model.app(unit.app).leader = unit.name
        if unit.started or unit.queue:
            self.tell(unit, "leader-elected")

    def config_changed(self, app: str) -> None:
        for unit in self._model.app(app).units.values():
            self.tell(unit, "config-changed")

    def secret_changed(self, secret: Secret) -> None:
        """The secret has a new revision: those who follow an older one learn of it."""
        for name, consumer in secret.consumers.items():
            if consumer.revision < secret.latest and not secret.is_owned_by(name):
                self.tell(self._model.unit(name), "secret-changed", **_secret(secret, consumer.label))

    def secret_followed(self, secret: Secret) -> None:
        """A consumer has moved on: the owner learns which revisions nobody follows any more."""
        if not secret.owner:
            return
        owner = self._model.app(secret.owner).leader if "/" not in secret.owner else secret.owner
        followed = {consumer.revision for name, consumer in secret.consumers.items() if not secret.is_owned_by(name)}
        for revision in sorted(secret.revisions):
            if owner is not None and followed and revision not in followed and revision < min(followed):
                told = _secret(secret, secret.label) | {"JUJU_SECRET_REVISION": str(revision)}
                self.tell(self._model.unit(owner), "secret-remove", **told)

    def secret_due(self, secret: Secret, event: str) -> None:
        """secret-rotate or secret-expired, for the owner (for an application's secret: its leader)."""
        owner = secret.owner if "/" in secret.owner else self._model.app(secret.owner).leader
        if owner is None:
            return
        told = _secret(secret, secret.label)
        if event == "secret-expired":
            told["JUJU_SECRET_REVISION"] = str(secret.latest)
        self.tell(self._model.unit(owner), event, **told)

    def tell(self, unit: Unit, event: str, **environment: str) -> None:
        """Queues an event, unless the very same is waiting already."""
        new = Event(event, environment)
        if new not in unit.queue:
            unit.queue.append(new)

    def _created(self, relation: Relation, unit: Unit) -> None:
        self._relation_event(relation, unit, "created")

    def _joined(self, relation: Relation, unit: Unit, remote: str) -> None:
        self._relation_event(relation, unit, "joined", remote)
        self._changed(relation, unit, remote)

    def _changed(self, relation: Relation, unit: Unit, remote: str) -> None:
        # Until they have met, what changed is told with the meeting.
        if (
            "/" in remote
            and remote not in relation.visible.get(unit.name, ())
            and not _will_join(relation, unit, remote)
        ):
            return
        self._relation_event(relation, unit, "changed", remote if "/" in remote else None)

    def _leaves(self, relation: Relation, unit: Unit, departing: str | None) -> None:
        for name in relation.others(unit.name):
            self._departed(relation, unit, name, departing or name)
        self._relation_event(relation, unit, "broken")

    def _departed(self, relation: Relation, unit: Unit, remote: str, departing: str) -> None:
        kept = [event for event in unit.queue if not _meets(event, relation, remote)]
        never_met = len(kept) < len(unit.queue) and remote not in relation.visible.get(unit.name, ())
        unit.queue.clear()
        unit.queue.extend(kept)
        if not never_met:
            self._relation_event(relation, unit, "departed", remote, JUJU_DEPARTING_UNIT=departing)

    def _relation_event(
        self, relation: Relation, unit: Unit, kind: str, remote: str | None = None, **more: str
    ) -> None:
        local = relation.local(unit.app)
        assert local is not None
        environment = {
            "JUJU_RELATION": local.name,
            "JUJU_RELATION_ID": f"{local.name}:{relation.id}",
            "JUJU_REMOTE_APP": relation.remote(unit.app).app,
            **({"JUJU_REMOTE_UNIT": remote} if remote else {}),
            **more,
        }
        self.tell(unit, f"{local.name}-relation-{kind}", **environment)


def _secret(secret: Secret, label: str) -> dict[str, str]:
    return {"JUJU_SECRET_ID": secret.uri, **({"JUJU_SECRET_LABEL": label} if label else {})}


def _will_join(relation: Relation, unit: Unit, remote: str) -> bool:
    return any(_meets(event, relation, remote) and event.name.endswith("-joined") for event in unit.queue)


def _meets(event: Event, relation: Relation, remote: str) -> bool:
    """Whether the event tells of ``remote`` joining or changing in the relation."""
    environment: Mapping[str, str] = event.environment
    return (
        environment.get("JUJU_REMOTE_UNIT") == remote
        and environment.get("JUJU_RELATION_ID", "").endswith(f":{relation.id}")
        and event.name.endswith(("-joined", "-changed"))
    )
