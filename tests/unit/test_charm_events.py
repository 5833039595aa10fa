"""Every event, as leader and follower, in every state of the relations; and events in any order."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ops
import ops.testing
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.conftest import Surroundings
from tests.unit.helpers import (
    ADOPTED,
    Event,
    Unit,
    command,
    commands,
    confirmed,
    database,
    peers,
    status_of,
    store,
)

from cluster import ClusterForbidden, ClusterRejected, ClusterUnavailable
from readiness import Readiness
from workload import Workload

MakeUnit = Callable[..., Unit]


def _container(on: ops.testing.CharmEvents, unit: Unit, kind: str) -> Any:
    if kind == "pebble_ready":
        return on.pebble_ready(unit.container)
    return getattr(on, kind)(unit.container, info=next(c for c in unit.container.check_infos if c.name == "ready"))


def events(unit: Unit) -> dict[str, Event]:
    """Every event that Juju may send to this unit now, by a name."""
    plain = ["install", "start", "config_changed", "upgrade_charm", "update_status"]
    plain += ["leader_elected"] if unit.state.leader else []
    found: dict[str, Event] = {name: _plain(name) for name in plain}
    storage = next(iter(unit.state.storages))
    found["storage_attached"] = lambda on: on.storage_attached(storage)
    found["pebble_ready"] = lambda on: _container(on, unit, "pebble_ready")
    if unit.container.check_infos:
        found["pebble_check_recovered"] = lambda on: _container(on, unit, "pebble_check_recovered")
        found["pebble_check_failed"] = lambda on: _container(on, unit, "pebble_check_failed")
    if unit.state.secrets:
        secret = next(iter(unit.state.secrets))
        found["secret_changed"] = lambda on: on.secret_changed(secret)
    for relation in unit.state.relations:
        for kind in ("created", "joined", "changed", "departed"):
            found[f"{relation.endpoint}_{kind}"] = _of_relation(unit, relation.id, kind)
    return found


def _plain(name: str) -> Event:
    return lambda on: getattr(on, name)()


def _of_relation(unit: Unit, number: int, kind: str) -> Event:
    return lambda on: getattr(on, f"relation_{kind}")(unit.state.get_relation(number))


RELATIONS: dict[str, Callable[[], list[ops.testing.RelationBase]]] = {
    "none": lambda: [],
    "without data": lambda: [database({}), store({})],
    "ready": lambda: [database(), store()],
}
EXPECTED = {
    ("none", True): ("active", "embedded mode"),
    ("none", False): ("waiting", "waiting for the leader"),
    ("without data", True): ("waiting", "waiting for postgresql-k8s to hand out a database"),
    ("without data", False): ("waiting", "waiting for postgresql-k8s to hand out a database"),
    ("ready", True): ("active", ""),
    ("ready", False): ("active", ""),
}


def a_unit(unit: MakeUnit, relations: str, leader: bool) -> Unit:
    """A unit in that state of the relations; a follower's leader has done its part."""
    decided = {**ADOPTED, **confirmed()} if relations == "ready" and not leader else {}
    return unit(leader=leader, relations=[*RELATIONS[relations](), peers(decided, others={1: {}})])


EVENT_NAMES = [
    *("install", "start", "config_changed", "upgrade_charm", "update_status", "leader_elected", "storage_attached"),
    *("pebble_ready", "pebble_check_recovered", "pebble_check_failed", "peers_created", "peers_changed"),
    *(
        f"{name}_{kind}"
        for name in ("database", "object-storage")
        for kind in ("created", "joined", "changed", "departed")
    ),
]


@pytest.mark.parametrize("relations", RELATIONS)
@pytest.mark.parametrize("leader", [True, False])
@pytest.mark.parametrize("name", EVENT_NAMES)
def test_any_event_brings_a_unit_where_it_belongs(unit: MakeUnit, name: str, leader: bool, relations: str) -> None:
    one = a_unit(unit, relations, leader)
    if name.startswith("pebble_check"):
        one.run()
    happening = events(one)
    if name not in happening:
        assert relations == "none" or name == "leader_elected"
        return
    one.run(happening[name])
    kind, text = EXPECTED[relations, leader]
    assert (one.status.name, text in one.status.message) == (kind, True), one.status
    assert one.serves is (kind == "active")


@pytest.mark.parametrize("leader", [True, False])
@pytest.mark.parametrize("endpoint", ["database", "object-storage"])
def test_a_relation_that_goes_away_blocks_and_names_what_to_integrate(
    unit: MakeUnit, leader: bool, endpoint: str
) -> None:
    one = a_unit(unit, "ready", leader)
    one.run()
    one.unrelate(1 if endpoint == "database" else 2)
    assert one.status.name == "blocked"
    assert f"juju integrate mlflow:{endpoint}" in one.status.message
    assert not one.serves
    one.run()
    assert not one.serves, "never falls back to an empty SQLite"


@pytest.mark.parametrize("leader", [True, False])
@pytest.mark.parametrize("relations", RELATIONS)
@pytest.mark.parametrize("name", ["stop", "remove"])
def test_the_end_of_a_unit_is_no_error(
    unit: MakeUnit, surroundings: Surroundings, name: str, relations: str, leader: bool
) -> None:
    one = a_unit(unit, relations, leader)
    one.run()
    before = one.container.plan.to_dict(), one.peers
    one.change(planned_units=0)
    one.run(lambda on: getattr(on, name)())
    assert (one.container.plan.to_dict(), one.peers) == before
    assert surroundings.cluster_removals == (1 if leader and name == "remove" else 0)


def test_a_unit_of_many_leaves_the_cluster_alone_when_it_goes(unit: MakeUnit, surroundings: Surroundings) -> None:
    one = unit(planned_units=2)
    one.run(lambda on: on.remove())
    assert surroundings.cluster_removals == 0


def test_kubernetes_may_refuse_when_the_last_unit_goes(unit: MakeUnit, surroundings: Surroundings) -> None:
    one = unit(planned_units=0)
    surroundings.cluster_error = ClusterForbidden("no")
    one.run(lambda on: on.remove())


def test_without_a_container_nothing_fails(unit: MakeUnit) -> None:
    one = unit(relations=RELATIONS["ready"]())
    one.change(can_connect=False)
    one.run(lambda on: on.install())
    assert one.status == ops.WaitingStatus("waiting for the container of the server")


def test_without_peers_a_unit_waits(unit: MakeUnit) -> None:
    one = unit()
    one.change(relations=frozenset())
    one.run()
    assert one.status == ops.WaitingStatus("waiting for the peer relation")


class Writes:
    """Counts what is written to Pebble and to relations."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        from scenario.mocking import _MockModelBackend, _MockPebbleClient

        pebble = ["push", "make_dir", "remove_path", "add_layer", "replan_services", "autostart_services"]
        pebble += ["start_services", "stop_services", "restart_services", "start_checks", "stop_checks", "send_signal"]
        backend = ["relation_set", "secret_add", "secret_set", "secret_remove", "secret_grant"]
        for kind, names in ((_MockPebbleClient, pebble), (_MockModelBackend, backend)):
            for name in names:
                monkeypatch.setattr(kind, name, self._counted(name, getattr(kind, name)))

    def _counted(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.seen.append(name)
            return real(*arguments, **options)

        return call


@pytest.mark.parametrize("relations", RELATIONS)
@pytest.mark.parametrize("leader", [True, False])
def test_an_event_without_a_change_writes_nothing(
    unit: MakeUnit,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    leader: bool,
    relations: str,
) -> None:
    one = a_unit(unit, relations, leader)
    one.run()
    writes = Writes(monkeypatch)
    cluster_writes, commands_before = surroundings.cluster_writes, len(ran(one))
    for name, event in events(one).items():
        one.run(event)
        assert writes.seen == [], name
    assert surroundings.cluster_writes == cluster_writes
    assert set(ran(one)[commands_before:]) == {
        ("tracking-server", "version", "--json"),
    }, "the database is not asked either"


def ran(one: Unit) -> list[tuple[str, ...]]:
    """The commands that the charm ran since the unit was made."""
    return [tuple(arguments.command) for arguments in one.context.exec_history.get("tracking-server", [])]


def test_a_changed_option_is_one_restart(unit: MakeUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    before = one.container.plan.services["tracking-server"].environment
    writes = Writes(monkeypatch)
    one.change(config={"workers": 5})
    one.run(lambda on: on.config_changed())
    assert "workers = 5" in one.config_text
    assert one.container.plan.services["tracking-server"].environment != before
    assert [each for each in writes.seen if each != "autostart_services"] == [
        *("push", "remove_path", "push", "add_layer", "replan_services")
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ClusterForbidden("statefulsets is forbidden"), ops.BlockedStatus),
        (ClusterRejected("memory"), ops.BlockedStatus),
        (ClusterUnavailable("no answer"), ops.WaitingStatus),
    ],
)
def test_kubernetes_in_the_way_is_told_and_stops_nothing_else(
    unit: MakeUnit, surroundings: Surroundings, error: Exception, status: type[ops.StatusBase]
) -> None:
    surroundings.cluster_error = error  # type: ignore[assignment]  # one of the parametrized errors
    one = unit(relations=RELATIONS["ready"](), config={"external-service": "node-port"})
    one.run()
    assert isinstance(one.status, status)
    assert one.serves
    if isinstance(error, ClusterForbidden):
        assert "juju trust mlflow --scope=cluster" in one.status.message


def test_only_the_leader_talks_to_kubernetes(unit: MakeUnit, surroundings: Surroundings) -> None:
    one = unit(leader=False, config={"external-service": "load-balancer"}, planned_units=3)
    one.run()
    assert surroundings.asked == []
    one.change(leader=True)
    one.run()
    (asked,) = surroundings.asked
    assert (asked.units, asked.external_service, asked.port) == (3, "load-balancer", 5000)


FULL = {"database": database(), "store": store()}


def _take(one: Unit, step: str) -> None:
    """One step: a relation comes up, leadership moves, the pod is made anew, or an event of ``EVENT_NAMES``."""
    name, _, what = step.partition(" ")
    if what:
        _bring_up(one, FULL[name], ready=what == "ready")
    elif step == "pod-restarts":
        for path in one.files.iterdir():
            path.unlink()
        kept = one.container
        made = ops.testing.Container("tracking-server", can_connect=True, mounts=kept.mounts, execs=kept.execs)
        one.change(containers={made})
        one.run(lambda on: on.pebble_ready(one.container))
    elif step in ("leads", "follows"):
        one.change(leader=step == "leads")
        one.run(events(one).get("leader_elected"))
    elif step in (happening := events(one)):
        one.run(happening[step])


def _bring_up(one: Unit, full: ops.testing.Relation, *, ready: bool) -> None:
    """Integrates, or lets the provider of an integration answer; what we wrote into it stays."""
    known = {each.id: each for each in one.state.relations}
    if full.id in known and not ready:
        return
    held = known.get(full.id, full)
    data = full.remote_app_data if ready else {}
    one.relate(
        dataclasses.replace(
            full, remote_app_data=data, local_app_data=held.local_app_data, local_unit_data=held.local_unit_data
        )
    )
    one.run(_of_relation(one, full.id, "changed"))


def _play(folder: Path, order: list[str]) -> Unit:
    """A unit after these steps, and after all was said."""
    one = Unit(folder, relations=[peers(others={1: {}})])
    for step in [*order, "leads", "database related", "store related", "database ready", "store ready"]:
        _take(one, step)
    one.run()
    return one


STEPS = st.sampled_from(
    [
        *EVENT_NAMES,
        *("pod-restarts", "leads", "follows"),
        *(f"{name} {what}" for name in ("database", "store") for what in ("related", "ready")),
    ]
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(order=st.lists(STEPS, max_size=8))
def test_events_in_any_order_end_in_the_same_plan(
    surroundings: Surroundings, folders: Iterator[Path], order: list[str]
) -> None:
    surroundings.asked.clear()
    one = _play(next(folders), order)
    other = _play(next(folders), [])
    assert one.status == ops.ActiveStatus()
    assert one.outcome == other.outcome
    assert one.peers_app.items() >= ADOPTED.items()


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """An endless row of empty folders."""

    def row(parent: Path) -> Iterator[Path]:
        number = 0
        while True:
            number += 1
            yield parent / str(number)

    with tempfile.TemporaryDirectory() as parent:
        yield row(Path(parent))


def test_a_server_that_is_not_ready_is_not_active(unit: MakeUnit, surroundings: Surroundings) -> None:
    surroundings.answer = Readiness(False, "database unavailable: connection refused")
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    assert one.status == ops.WaitingStatus("not ready: database unavailable: connection refused")


def test_a_failing_check_is_not_active_even_if_the_server_answers(unit: MakeUnit) -> None:
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    down = ops.testing.CheckInfo("ready", level="ready", status=ops.pebble.CheckStatus.DOWN, failures=3)
    one.change(check_infos={down})
    one.run()
    assert one.status == ops.WaitingStatus("not ready: waiting for the ready check to pass")


def test_a_check_that_passes_in_a_moment_is_waited_for(unit: MakeUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    passes = iter([False, False, False, True])
    monkeypatch.setattr(Workload, "passes_ready_check", property(lambda self: next(passes)))
    monkeypatch.setattr("unit_server.CHECK_PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    one.run()
    assert one.status == ops.ActiveStatus()


def test_a_server_without_its_bucket_is_not_active(unit: MakeUnit, surroundings: Surroundings) -> None:
    surroundings.answer = Readiness(True, artifacts_problem="the bucket models does not exist")
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    assert one.status == ops.BlockedStatus("object storage cannot be used: the bucket models does not exist")


def test_a_server_that_does_not_answer_tells_what_its_database_says(unit: MakeUnit, surroundings: Surroundings) -> None:
    one = unit(relations=RELATIONS["ready"]())
    one.run()
    surroundings.answer = Readiness(False, "no answer: connection refused", answers=False)
    one.change(execs=frozenset(commands(command("db status --config", "", 5, "postgresql: password refused\n"))))
    one.run()
    assert one.status == ops.WaitingStatus("not ready: tracking-server db status: postgresql: password refused")
    one.change(execs=frozenset(commands(status_of("behind"))))
    one.run()
    assert one.status.name == "blocked"
    assert "migrate-database" in one.status.message


def test_the_versions_stand_in_juju_status(unit: MakeUnit) -> None:
    one = unit()
    assert one.run().workload_version == "0.1.0 (MLflow 3.17.2)"


def test_a_broken_workload_is_told_and_no_error(unit: MakeUnit) -> None:
    one = unit(execs=[])
    one.run()
    assert one.status.name == "blocked"
    assert "tracking-server" in one.status.message
