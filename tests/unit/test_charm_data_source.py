"""Where a unit serves from: the decision, and what becomes of embedded data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ops
import ops.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.conftest import Surroundings
from tests.unit.helpers import (
    ADOPTED,
    DATABASE_IDENTITY,
    STORE_IDENTITY,
    Unit,
    command,
    commands,
    confirmed,
    database,
    peers,
    schema_status,
    store,
)

from data_source import Choice, Kind, Offer, Reason, Situation, Source, decide
from workload import Workload

MakeUnit = Callable[..., Unit]

READY = Offer(related=True, identity="1:x")
UNIT = "mlflow/0"


def situation(offer: Offer, **changes: Any) -> Situation:
    """The leader of a single unit, both kinds alike, with these changes."""
    given_values: dict[str, Any] = {"unit": UNIT, "leader": True, "holder": None, "present": frozenset({UNIT})}
    return Situation(offers=dict.fromkeys(Kind, offer), **(given_values | changes))


@pytest.mark.parametrize(
    ("offer", "changes", "expected"),
    [
        # Alone.
        (Offer(), {}, Choice(Source.EMBEDDED, Reason.NOTHING_INTEGRATED)),
        (Offer(), {"leader": False}, Choice(Source.NONE, Reason.UNDECIDED)),
        (Offer(), {"leader": False, "holder": UNIT}, Choice(Source.EMBEDDED, Reason.NOTHING_INTEGRATED)),
        (
            Offer(),
            {"holder": "mlflow/1", "present": {UNIT, "mlflow/1"}},
            Choice(Source.NONE, Reason.OTHER_HOLDER),
        ),
        (Offer(), {"holder": "mlflow/1"}, Choice(Source.NONE, Reason.HOLDER_GONE)),
        # Integrated, without data yet.
        (Offer(related=True), {}, Choice(Source.NONE, Reason.NOT_READY)),
        (Offer(related=True), {"holder": UNIT}, Choice(Source.EMBEDDED, Reason.NOT_READY)),
        # Ready, and nothing adopted.
        (
            Offer(related=True, identity="1:x", has_data=False),
            {},
            Choice(Source.INTEGRATED, Reason.ADOPTED, adopt="1:x", release="1:x"),
        ),
        (
            Offer(related=True, identity="1:x", has_data=False),
            {"leader": False, "holder": UNIT},
            Choice(Source.NONE, Reason.UNDECIDED, release="1:x"),
        ),
        (
            Offer(related=True, identity="1:x", released="1:x"),
            {"holder": "mlflow/1"},
            Choice(Source.INTEGRATED, Reason.ADOPTED, adopt="1:x"),
        ),
        (
            Offer(related=True, identity="1:x", has_data=True),
            {"holder": UNIT},
            Choice(Source.EMBEDDED, Reason.DATA_KEPT),
        ),
        (READY, {"holder": UNIT}, Choice(Source.EMBEDDED, Reason.DATA_KEPT)),
        (
            Offer(related=True, identity="1:x", released="9:y", has_data=True),
            {"holder": UNIT},
            Choice(Source.EMBEDDED, Reason.DATA_KEPT),
        ),
        (READY, {"leader": False}, Choice(Source.NONE, Reason.UNDECIDED)),
        # Adopted.
        (Offer(True, "1:x", adopted="1:x"), {"leader": False}, Choice(Source.INTEGRATED, Reason.ADOPTED)),
        (Offer(adopted="1:x"), {"holder": UNIT}, Choice(Source.NONE, Reason.REMOVED)),
        (Offer(related=True, adopted="1:x"), {}, Choice(Source.NONE, Reason.NOT_READY)),
        (Offer(True, "2:y", adopted="1:x"), {}, Choice(Source.INTEGRATED, Reason.ADOPTED, adopt="2:y")),
        (Offer(True, "2:y", adopted="1:x"), {"leader": False}, Choice(Source.NONE, Reason.UNDECIDED)),
    ],
)
def test_the_decision(offer: Offer, changes: dict[str, Any], expected: Choice) -> None:
    decision = decide(situation(offer, **changes))
    assert set(decision.choices.values()) == {expected}
    embedded = expected.source is Source.EMBEDDED
    assert decision.holder == (UNIT if embedded and changes.get("holder") is None else None)
    assert decision.serves is (expected.source is not Source.NONE)


OFFERS = st.builds(
    Offer,
    related=st.booleans(),
    identity=st.sampled_from([None, "1:x", "2:y"]),
    adopted=st.sampled_from([None, "1:x", "2:y"]),
    released=st.sampled_from([None, "1:x", "2:y"]),
    has_data=st.sampled_from([None, True, False]),
)
SITUATIONS = st.builds(
    Situation,
    unit=st.just(UNIT),
    leader=st.booleans(),
    holder=st.sampled_from([None, UNIT, "mlflow/1"]),
    present=st.sampled_from([frozenset({UNIT}), frozenset({UNIT, "mlflow/1"})]),
    offers=st.fixed_dictionaries(dict.fromkeys(Kind, OFFERS)),
)


@given(seen=SITUATIONS)
def test_what_no_decision_may_do(seen: Situation) -> None:
    decision = decide(seen)
    for kind, choice in decision.choices.items():
        offer = seen.offers[kind]
        if choice.source is Source.EMBEDDED:
            assert seen.holds, "embedded data is served by its holder only"
            assert offer.adopted is None, "what was given up is not served again"
        if choice.source is Source.INTEGRATED:
            assert offer.identity is not None
            assert offer.identity in (offer.adopted, choice.adopt)
        if choice.adopt is not None:
            assert seen.leader
            given_up = offer.adopted is not None or offer.released == choice.adopt
            assert given_up or (seen.holds and offer.has_data is False), "data is not left behind unasked"
        if choice.release is not None:
            assert seen.holds
            assert offer.has_data is False


HAS_RUNS = command("db status --json", schema_status(has_data=True))


def with_embedded_data(unit: MakeUnit, artifacts: bool = True) -> Unit:
    """A unit that was deployed alone, and used."""
    one = unit(execs=commands(HAS_RUNS))
    one.run(lambda on: on.install())
    (one.data / "mlflow.db").write_text("runs")
    if artifacts:
        (one.data / "artifacts" / "1").mkdir(parents=True)
    return one


def test_alone_it_serves_from_its_storage_and_says_so(unit: MakeUnit) -> None:
    one = unit()
    one.run(lambda on: on.pebble_ready(one.container))
    assert one.status.name == "active"
    assert "embedded mode" in one.status.message
    assert 'uri = "sqlite:////data/mlflow.db"' in one.config_text
    assert 'destination = "/data/artifacts"' in one.config_text
    assert one.peers_app["embedded-unit"] == "mlflow/0"


def test_embedded_data_is_served_on_when_a_database_comes(unit: MakeUnit) -> None:
    one = with_embedded_data(unit)
    before = one.outcome[1:]
    one.relate(database(), store())
    one.run()
    assert one.status == ops.ActiveStatus(
        "serving embedded data; run copy-embedded-data (or decline-embedded-data) to use the integrated database and"
        " object storage"
    )
    assert one.outcome[1:] == before


def test_unused_embedded_mode_gives_way_at_once(unit: MakeUnit) -> None:
    one = unit()
    one.run()
    (one.data / "mlflow.db").write_text("tables, no runs")
    (one.data / "artifacts").mkdir()
    one.relate(database(), store())
    one.run()
    assert one.status == ops.ActiveStatus()
    assert "postgresql://" in one.config_text
    assert 'destination = "s3://models"' in one.config_text
    assert (one.data / "mlflow.db").exists()


def test_a_run_logged_between_looking_and_leaving_is_not_lost(unit: MakeUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    one = unit()
    one.run()
    (one.data / "mlflow.db").write_text("runs")
    looks = iter([False, True])
    ran: list[bool] = []

    def look(workload: Workload) -> bool:
        ran.append(workload.is_running)
        return next(looks)

    monkeypatch.setattr("schema.embedded_has_data", look)
    one.relate(database())
    one.run()
    assert ran == [True, False], "the last look is at what nobody writes to"
    assert "copy-embedded-data" in one.status.message
    assert one.serves
    assert "sqlite" in one.config_text


def test_embedded_data_is_served_while_an_integration_says_nothing_yet(unit: MakeUnit) -> None:
    one = with_embedded_data(unit)
    one.relate(database({}))
    one.run()
    assert one.status == ops.WaitingStatus("waiting for postgresql-k8s to hand out a database")
    assert one.serves


def test_other_units_do_not_serve_embedded_data(unit: MakeUnit) -> None:
    for leader in (True, False):
        one = unit(leader=leader, relations=[peers({"embedded-unit": "mlflow/1"}, others={1: {}})])
        one.run()
        assert one.status == ops.BlockedStatus(
            "embedded mode serves from mlflow/1 only; integrate a database and an object storage to scale"
        )
        assert not one.serves
        assert one.container.plan.checks["ready"].level == ops.pebble.CheckLevel.READY, "it gets no requests"


def test_embedded_artifacts_are_served_by_one_unit_too(unit: MakeUnit) -> None:
    record = {"database": DATABASE_IDENTITY, "embedded-unit": "mlflow/1", **confirmed()}
    one = unit(leader=False, relations=[database(), peers(record, others={1: {}})])
    one.run()
    assert one.status.name == "blocked"
    one = unit(relations=[database(), peers({**record, "embedded-unit": "mlflow/0"}, others={1: {}})])
    one.run()
    assert one.status == ops.ActiveStatus("artifacts on this unit's storage; integrate an object storage to scale")


def test_a_holder_that_is_gone_blocks_with_a_way_out(unit: MakeUnit) -> None:
    one = unit(relations=[peers({"embedded-unit": "mlflow/1"})])
    one.run()
    assert one.status.name == "blocked"
    assert "mlflow/1" in one.status.message
    assert "decline-embedded-data" in one.status.message
    one.act("decline-embedded-data")
    assert "embedded mode: data on this unit's storage" in one.status.message
    assert one.serves


def test_a_holder_that_is_not_the_leader_releases_and_the_leader_adopts(unit: MakeUnit) -> None:
    record = {"embedded-unit": "mlflow/0"}
    holder = unit(leader=False, relations=[database(), store(), peers(record, others={1: {}})])
    holder.run()
    assert holder.status.name == "waiting"
    released = json.loads(holder.peers_unit["released"])
    assert released == {"database": DATABASE_IDENTITY, "artifacts": STORE_IDENTITY}
    leader = unit(
        relations=[
            *(database(), store()),
            peers({"embedded-unit": "mlflow/1"}, others={1: {"released": json.dumps(released)}}),
        ]
    )
    leader.run()
    assert leader.status == ops.ActiveStatus()
    assert leader.peers_app.items() >= ADOPTED.items()


def test_another_database_is_adopted_after_the_first_was_removed(unit: MakeUnit) -> None:
    one = unit(relations=[database(), store()])
    one.run()
    one.unrelate(1)
    assert one.status.name == "blocked"
    one.relate(database(number=9))
    one.run()
    assert one.status == ops.ActiveStatus()
    assert one.peers_app["database"] == "9:mlflow"


def test_clients_never_reach_embedded_artifacts_by_themselves(unit: MakeUnit) -> None:
    one = unit(config={"artifact-serving": "direct"})
    one.run()
    assert "serve = true" in one.config_text


def test_consumers_are_sent_to_the_unit_that_serves(unit: MakeUnit, surroundings: Surroundings) -> None:
    consumer = ops.testing.Relation("tracking-server", id=5, remote_app_name="notebook")
    for record, sent in (({"embedded-unit": "mlflow/1"}, True), ({"database": "7:gone"}, False)):
        one = unit(relations=[consumer, peers(record, others={1: {}})])
        one.run()
        written = str(one.said(5))
        assert ("http://mlflow.data.svc.cluster.local:5000" in written) is sent


def test_consumers_keep_their_uri_while_the_database_is_away(unit: MakeUnit) -> None:
    consumer = ops.testing.Relation("tracking-server", id=5, remote_app_name="notebook")
    one = unit(relations=[consumer, database(), store()])
    one.run()
    said = one.said(5)
    assert "mlflow.data.svc" in str(said)
    away = command("db status --config", "", 5, "no answer\n")
    one.change(execs=frozenset(commands(away)))
    record = {name: value for name, value in one.peers_app.items() if name != "schema"}
    one.relate(peers(record, one.peers_unit))
    one.run()
    assert not one.serves
    assert one.said(5) == said
    one.unrelate(1)
    assert "mlflow.data.svc" not in str(one.said(5))
