"""The schema: who confirms it, who waits for it, and how it is migrated."""

from __future__ import annotations

import json
from collections.abc import Callable

import ops
import ops.testing
import pytest
from tests.unit.conftest import Surroundings
from tests.unit.helpers import (
    ADOPTED,
    DATABASE_IDENTITY,
    OLDER,
    TARGET,
    UPGRADE,
    Unit,
    command,
    commands,
    confirmed,
    database,
    peers,
    status_of,
    store,
)

from readiness import Readiness

MakeUnit = Callable[..., Unit]
Databag = dict[str, str]

BEHIND = commands(status_of("behind"))


def serving(revision: str, identity: str = DATABASE_IDENTITY) -> Databag:
    """What a unit that serves tells the others."""
    return {"serving": json.dumps({"database": identity, "revision": revision})}


def related(unit: MakeUnit, app: Databag, others: dict[int, Databag] | None = None, **options: object) -> Unit:
    """A unit that left embedded mode, with this record of the leader's."""
    return unit(relations=[database(), store(), peers({**ADOPTED, **app}, others=others or {})], **options)


def app_data(one: Unit) -> Databag:
    return one.peers_app


def unit_data(one: Unit) -> Databag:
    return one.peers_unit


def upgrades(one: Unit) -> int:
    ran = one.context.exec_history.get("tracking-server", [])
    return sum(each.command[1:3] == ["db", "upgrade"] for each in ran)


def test_the_leader_makes_the_tables_of_an_empty_database(unit: MakeUnit) -> None:
    one = related(unit, {}, execs=commands(status_of("empty")))
    one.run()
    assert upgrades(one) == 1
    assert app_data(one).items() >= confirmed().items()
    assert one.status == ops.ActiveStatus()


def test_no_other_unit_asks_or_changes_the_database(unit: MakeUnit) -> None:
    one = related(unit, {}, leader=False, execs=commands(status_of("empty")))
    one.run()
    assert one.status == ops.WaitingStatus("waiting for the leader to confirm the database's schema")
    assert not one.serves
    assert {each.command[1] for each in one.context.exec_history["tracking-server"]} == {"version", "config"}


@pytest.mark.parametrize(
    "record",
    [{}, confirmed(revision=OLDER), confirmed(identity="9:other"), {"schema": "{"}, {"schema": '{"database": 1}'}],
)
def test_a_unit_serves_only_what_was_confirmed_for_its_database_and_revision(unit: MakeUnit, record: Databag) -> None:
    one = related(unit, record, leader=False)
    one.run()
    assert not one.serves
    assert "serving" not in unit_data(one)
    confirmed_now = peers({**ADOPTED, **confirmed()})
    one.relate(confirmed_now)
    one.run(lambda on: on.relation_changed(one.peers, remote_unit=1) if one.peers.peers_data else on.update_status())
    assert one.serves
    assert json.loads(unit_data(one)["serving"]) == {"database": DATABASE_IDENTITY, "revision": TARGET}
    one.relate(peers(ADOPTED, unit_data(one)))
    one.run()
    assert not one.serves, "what is withdrawn is not served on"
    assert "serving" not in unit_data(one)


def test_an_older_database_blocks_and_names_the_action(unit: MakeUnit) -> None:
    one = related(unit, {}, execs=BEHIND)
    one.run()
    assert one.status.name == "blocked"
    assert "back it up and run migrate-database" in one.status.message
    assert OLDER in one.status.message
    assert TARGET in one.status.message
    assert not one.serves
    assert upgrades(one) == 0


@pytest.mark.parametrize(("state", "remedy"), [("ahead", "newer MLflow"), ("not-mlflow", "a database of its own")])
@pytest.mark.parametrize("automatic", [True, False])
def test_a_database_that_is_not_ours_is_left_alone(unit: MakeUnit, state: str, remedy: str, automatic: bool) -> None:
    one = related(unit, {}, execs=commands(status_of(state)), config={"automatic-migration": automatic})
    one.run()
    assert one.status.name == "blocked"
    assert remedy in one.status.message
    assert upgrades(one) == 0


def test_an_unreachable_database_is_waited_for_with_its_reason(unit: MakeUnit) -> None:
    away = command("db status --config", "", 5, "postgresql: connection refused\n")
    one = related(unit, {}, execs=commands(away))
    one.run()
    assert one.status.name == "waiting"
    assert "connection refused" in one.status.message
    one.change(execs=frozenset(commands()))
    one.run()
    assert one.serves


def test_automatic_migration_needs_nobody(unit: MakeUnit) -> None:
    one = related(unit, {}, execs=BEHIND, config={"automatic-migration": True})
    one.run()
    assert upgrades(one) == 1
    assert one.status == ops.ActiveStatus()
    assert app_data(one).items() >= confirmed().items()


def test_the_action_migrates_records_and_starts(unit: MakeUnit) -> None:
    one = related(unit, {}, execs=BEHIND)
    one.run()
    results = one.act("migrate-database")
    assert results == {"from": OLDER, "to": TARGET, "revisions": "1"}
    assert one.context.action_logs == ["adding", "making an index"]
    assert app_data(one).items() >= confirmed().items()
    assert one.serves
    assert one.status == ops.ActiveStatus()


def test_a_current_database_is_not_touched_by_the_action(unit: MakeUnit) -> None:
    one = related(unit, {})
    one.run()
    assert one.act("migrate-database") == {"from": TARGET, "to": TARGET, "revisions": "0"}
    assert upgrades(one) == 0
    assert one.serves


def test_indexes_that_cannot_be_made_do_not_fail_the_migration(unit: MakeUnit) -> None:
    refused = command("db indexes create", "", 5, "must be owner of table runs\n")
    one = related(unit, {}, execs=commands(refused))
    one.run()
    assert one.act("migrate-database")["to"] == TARGET
    assert "the additional indexes were not made" in one.context.action_logs[-1]
    assert one.serves


def test_a_failed_migration_blocks_until_it_is_run_again(unit: MakeUnit) -> None:
    broken = command("db upgrade", "", 1, "adding\ncolumn exists already\n")
    one = related(unit, {}, execs=commands(status_of("behind"), broken), config={"automatic-migration": True})
    one.run()
    for _ in range(2):
        assert one.status == ops.BlockedStatus(
            "migration failed: tracking-server db upgrade: column exists already; see juju debug-log and run"
            " migrate-database again"
        )
        assert not one.serves
        one.run()
    assert upgrades(one) == 1, "what failed is not tried again unasked"
    with pytest.raises(ops.testing.ActionFailed, match="run migrate-database again"):
        one.act("migrate-database")
    one.change(execs=frozenset(commands(status_of("behind"), UPGRADE)))
    one.act("migrate-database")
    assert one.status == ops.ActiveStatus()
    assert "migration-failed" not in app_data(one)


def test_units_of_an_older_version_are_waited_for(unit: MakeUnit) -> None:
    others = {1: serving(OLDER)}
    one = related(unit, confirmed(revision=OLDER), others, execs=BEHIND, config={"automatic-migration": True})
    one.run()
    assert one.status.name == "waiting"
    assert "mlflow/1" in one.status.message
    with pytest.raises(ops.testing.ActionFailed, match="mlflow/1 still serves with another version"):
        one.act("migrate-database")
    assert upgrades(one) == 0
    assert app_data(one).items() >= confirmed(revision=OLDER).items(), "they serve on until they are refreshed"


def test_units_that_serve_are_told_to_stop_before_a_migration(unit: MakeUnit, surroundings: Surroundings) -> None:
    """As after a backup was restored: the schema is older than what the leader confirmed."""
    one = related(unit, {}, {1: serving(TARGET)})
    one.run()
    surroundings.answer = Readiness(False, "no answer", answers=False)
    one.change(execs=frozenset(BEHIND))
    one.run()
    assert "migrate-database" in one.status.message
    with pytest.raises(ops.testing.ActionFailed, match="mlflow/1 still serves and was told to stop"):
        one.act("migrate-database")
    assert "schema" not in app_data(one)
    assert upgrades(one) == 0
    assert not one.serves
    surroundings.answer = Readiness(True)
    one.relate(peers(app_data(one), unit_data(one), {1: {}}))
    one.act("migrate-database")
    assert upgrades(one) == 1
    assert one.serves


def test_the_lock_of_another_upgrade_is_told(unit: MakeUnit) -> None:
    locked = command("db upgrade", "", 14, "another upgrade holds the lock\n")
    one = related(unit, {}, execs=commands(status_of("behind"), locked))
    with pytest.raises(ops.testing.ActionFailed, match="another upgrade holds the lock"):
        one.act("migrate-database")
    assert "migration-failed" not in app_data(one)


def test_only_the_leader_migrates(unit: MakeUnit) -> None:
    one = related(unit, {}, leader=False, execs=BEHIND)
    with pytest.raises(ops.testing.ActionFailed, match="juju run mlflow/leader migrate-database"):
        one.act("migrate-database")
    assert upgrades(one) == 0


def test_a_refresh_is_not_held_up_by_units_that_wait_for_the_migration(unit: MakeUnit) -> None:
    """Kubernetes refreshes the next pod, the leader's among them, only when the last one counts as ready."""
    one = related(unit, confirmed(revision=OLDER), leader=False)
    one.run()
    assert not one.serves
    assert one.container.plan.checks["ready"].level == ops.pebble.CheckLevel.UNSET
    one.relate(peers({**ADOPTED, **confirmed()}))
    one.run()
    assert one.serves
    assert one.container.plan.checks["ready"].level == ops.pebble.CheckLevel.READY


def test_embedded_mode_confirms_its_own_schema(unit: MakeUnit) -> None:
    one = unit(leader=False, relations=[peers({"embedded-unit": "mlflow/0"})], execs=commands(status_of("empty")))
    one.run()
    assert one.serves
    assert json.loads(unit_data(one)["schema"])["database"] == "embedded:mlflow/0"
    assert upgrades(one) == 1


def test_the_holder_migrates_embedded_data_though_it_does_not_lead(unit: MakeUnit) -> None:
    one = unit(leader=False, relations=[peers({"embedded-unit": "mlflow/0"})], execs=BEHIND)
    one.run()
    assert "migrate-database" in one.status.message
    one.act("migrate-database")
    assert one.serves


def test_check_database_says_what_a_migration_would_do(unit: MakeUnit) -> None:
    one = related(unit, {}, execs=BEHIND)
    one.run()
    before = one.outcome
    assert one.act("check-database") == {
        "state": "behind",
        "current-revision": OLDER,
        "current-mlflow": "2.22",
        "target-revision": TARGET,
        "target-mlflow": "3.17.2",
        "pending-revisions": "1",
        "migration": f"{TARGET}: add tables, blocks writes",
    }
    assert one.outcome == before


def test_check_database_of_a_current_one(unit: MakeUnit) -> None:
    one = related(unit, {})
    one.run()
    results = one.act("check-database")
    assert (results["state"], results["migration"]) == ("current", "nothing to do")
