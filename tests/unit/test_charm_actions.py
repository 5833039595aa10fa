"""The actions besides those of the schema: what they answer, and how they fail."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ops
import ops.testing
import pytest
import yaml
from tests.unit.helpers import (
    ACCESS_KEY,
    ADOPTED,
    PASSWORD,
    SECRET_KEY,
    Unit,
    command,
    commands,
    confirmed,
    database,
    peers,
    schema_status,
    status_of,
    store,
)

MakeUnit = Callable[..., Unit]

DECLARED: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "actions.yaml").read_text())
SUMMARY = {
    "dry_run": False,
    "runs": 3,
    "experiments": 1,
    "logged_models": 0,
    "traces": 0,
    "jobs": 0,
    "rows": 41,
    "objects": 7,
    "bytes": 1000,
    "seconds": 0.5,
    "limited": False,
    "kept": [],
}
GARBAGE = command("gc", json.dumps(SUMMARY), 0, "deleting 3 runs\ndeleted 3 runs\n")
COPIED = command("db copy", json.dumps({"rows": 12, "tables": 3, "objects": 2, "bytes": 9}), 0, "copying\n")
HAS_RUNS = command("db status --json", schema_status(has_data=True))


def ran(one: Unit, *words: str) -> list[list[str]]:
    """The commands of the server that begin with these words."""
    history = one.context.exec_history.get("tracking-server", [])
    return [each.command[1:] for each in history if each.command[1 : 1 + len(words)] == list(words)]


def related(unit: MakeUnit, **options: Any) -> Unit:
    record = {**ADOPTED, **confirmed()} if options.get("leader") is False else {}
    one = unit(relations=[database(), store(), peers(record)], **options)
    one.run()
    return one


def embedded(unit: MakeUnit, *relations: ops.testing.Relation, artifacts: bool = True, **options: Any) -> Unit:
    """A unit that was used alone, and integrated afterwards."""
    one = unit(execs=commands(HAS_RUNS, COPIED), **options)
    one.run()
    (one.data / "mlflow.db").write_text("runs")
    if artifacts:
        (one.data / "artifacts" / "1").mkdir(parents=True)
    one.relate(*relations)
    one.run()
    return one


@pytest.mark.parametrize("action", DECLARED)
def test_every_action_waits_for_the_container(unit: MakeUnit, action: str) -> None:
    one = unit()
    one.change(can_connect=False)
    with pytest.raises(ops.testing.ActionFailed, match="again in a moment"):
        one.act(action)


@pytest.mark.parametrize("action", ["collect-garbage", "migrate-database"])
def test_a_follower_names_the_leader(unit: MakeUnit, action: str) -> None:
    one = related(unit, leader=False)
    with pytest.raises(ops.testing.ActionFailed, match=f"juju run mlflow/leader {action}"):
        one.act(action)
    assert one.serves


@pytest.mark.parametrize("action", ["collect-garbage", "migrate-database"])
def test_without_a_database_there_is_nothing_to_act_on(unit: MakeUnit, action: str) -> None:
    one = unit(relations=[database({}), store({})])
    with pytest.raises(ops.testing.ActionFailed, match="juju status"):
        one.act(action)


@pytest.mark.parametrize("action", ["collect-garbage", "migrate-database", "copy-embedded-data"])
def test_a_wrong_option_is_named(unit: MakeUnit, action: str) -> None:
    one = related(unit)
    one.change(config={"workers": 0})
    with pytest.raises(ops.testing.ActionFailed, match="workers: 0 is not allowed"):
        one.act(action)


def test_garbage_is_counted_and_progress_told(unit: MakeUnit) -> None:
    one = related(unit, execs=commands(GARBAGE))
    before = one.outcome
    results = one.act("collect-garbage")
    assert results == {
        "dry-run": "false",
        "runs": "3",
        "experiments": "1",
        "logged-models": "0",
        "traces": "0",
        "jobs": "0",
        "rows": "41",
        "objects": "7",
        "bytes": "1000",
        "seconds": "0.5",
        "limited": "false",
        "kept": "0",
    }
    assert one.context.action_logs == ["deleting 3 runs", "deleted 3 runs"]
    assert ran(one, "gc") == [["gc", "--config", "/etc/tracking-server/tracking-server.toml", "--json"]]
    assert one.outcome == before


def test_the_parameters_reach_the_command(unit: MakeUnit) -> None:
    one = related(unit, execs=commands(GARBAGE))
    one.act("collect-garbage", {"older-than": "12h30m", "experiment-ids": "1, 2", "dry-run": True})
    assert ran(one, "gc")[0][4:] == ["--older-than", "12h30m", "--experiment-ids", "1,2", "--only", "--dry-run"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"older-than": "a month"}, "older-than: 'a month' is not allowed; allowed: days"),
        ({"experiment-ids": "1;drop"}, "experiment-ids: '1;drop' is not allowed; allowed: ids of digits"),
        ({"experiment-ids": "--limit"}, "experiment-ids"),
    ],
)
def test_a_wrong_parameter_is_named(unit: MakeUnit, parameters: dict[str, str], message: str) -> None:
    one = related(unit, execs=commands(GARBAGE))
    with pytest.raises(ops.testing.ActionFailed) as failed:
        one.act("collect-garbage", parameters)
    assert message in failed.value.message
    assert ran(one, "gc") == []


def test_what_had_to_be_kept_is_told(unit: MakeUnit) -> None:
    kept = [{"id": f"run {number}", "reason": "the bucket refuses us"} for number in range(30)]
    one = related(unit, execs=commands(command("gc", json.dumps(SUMMARY | {"kept": kept}), 15)))
    results = one.act("collect-garbage")
    assert results["kept"] == "30"
    assert results["kept-first"].splitlines()[0] == "run 0: the bucket refuses us"
    assert len(results["kept-first"].splitlines()) == 20


def test_a_failed_collection_says_why(unit: MakeUnit) -> None:
    one = related(unit, execs=commands(command("gc", "", 5, "no answer from PostgreSQL\n")))
    with pytest.raises(ops.testing.ActionFailed, match="no answer from PostgreSQL"):
        one.act("collect-garbage")


def test_no_garbage_is_collected_in_a_schema_that_is_not_ours(unit: MakeUnit) -> None:
    one = related(unit, execs=commands(GARBAGE, status_of("behind")))
    with pytest.raises(ops.testing.ActionFailed, match="migrate-database first"):
        one.act("collect-garbage")


def test_embedded_data_is_copied_and_then_served_from_there(unit: MakeUnit) -> None:
    one = embedded(unit, database(), store())
    results = one.act("copy-embedded-data")
    assert results == {"rows": "12", "tables": "3", "objects": "2", "bytes": "9"}
    (copy,) = ran(one, "db", "copy")
    assert " ".join(copy) == (
        "db copy --from sqlite:////data/mlflow.db --artifacts-from /data/artifacts"
        " --config /etc/tracking-server/tracking-server.toml --json"
    )
    assert "copying" in one.context.action_logs
    assert one.status == ops.ActiveStatus()
    assert one.serves
    assert tomllib.loads(one.config_text)["artifacts"]["destination"] == "s3://models"
    assert (one.data / "mlflow.db").exists(), "the embedded data stays"


def test_only_what_there_is_is_copied(unit: MakeUnit) -> None:
    one = embedded(unit, database(), artifacts=False)
    one.act("copy-embedded-data")
    (copy,) = ran(one, "db", "copy")
    assert "--artifacts-from" not in copy
    settings = tomllib.loads(one.config_text)
    assert settings["database"]["uri"].startswith("postgresql://")
    assert settings["artifacts"]["destination"] == "/data/artifacts"


def test_a_copy_that_fails_leaves_the_embedded_data_served(unit: MakeUnit) -> None:
    one = embedded(unit, database(), store())
    before = one.outcome
    one.change(execs=frozenset(commands(HAS_RUNS, command("db copy", "", 1, "the target is not empty\n"))))
    with pytest.raises(ops.testing.ActionFailed, match="the target is not empty"):
        one.act("copy-embedded-data")
    assert one.outcome == before
    assert one.serves


def test_artifacts_alone_are_copied_and_the_database_stays(unit: MakeUnit) -> None:
    one = embedded(unit, store())
    one.act("copy-embedded-data")
    (copy,) = ran(one, "db", "copy")
    assert " ".join(copy) == (
        "db copy --artifacts-from /data/artifacts --config /etc/tracking-server/tracking-server.toml --json"
    )
    settings = tomllib.loads(one.config_text)
    assert settings["database"]["uri"] == "sqlite:////data/mlflow.db"
    assert settings["artifacts"]["destination"] == "s3://models"
    assert one.serves


def test_declining_serves_the_integrations_as_they_are(unit: MakeUnit) -> None:
    one = embedded(unit, database(), store())
    one.act("decline-embedded-data")
    assert ran(one, "db", "copy") == []
    assert one.status == ops.ActiveStatus()
    assert tomllib.loads(one.config_text)["database"]["uri"].startswith("postgresql://")
    assert (one.data / "mlflow.db").exists()


@pytest.mark.parametrize("action", ["copy-embedded-data", "decline-embedded-data"])
def test_without_embedded_data_beside_an_integration_there_is_nothing_to_do(unit: MakeUnit, action: str) -> None:
    for one in (related(unit), unit()):
        one.run()
        with pytest.raises(ops.testing.ActionFailed, match="integrate a database or an object storage"):
            one.act(action)
        assert one.serves


@pytest.mark.parametrize("action", ["copy-embedded-data", "decline-embedded-data"])
def test_the_unit_that_holds_the_data_is_named(unit: MakeUnit, action: str) -> None:
    one = unit(relations=[database(), store(), peers({"embedded-unit": "mlflow/1"}, others={1: {}})])
    with pytest.raises(ops.testing.ActionFailed, match=f"juju run mlflow/1 {action}"):
        one.act(action)


@pytest.mark.parametrize("leader", [True, False])
def test_the_tracking_uri_is_the_most_public_one(unit: MakeUnit, leader: bool) -> None:
    one = unit(leader=leader)
    assert one.act("get-tracking-uri") == {"tracking-uri": "http://mlflow.data.svc.cluster.local:5000"}
    one.change(config={"external-hostname": "mlflow.example.com"})
    assert one.act("get-tracking-uri") == {"tracking-uri": "http://mlflow.example.com:5000"}
    ingress = {"ingress": json.dumps({"url": "https://example.com/data-mlflow/"})}
    one.relate(ops.testing.Relation("ingress", id=6, remote_app_name="traefik", remote_app_data=ingress))
    assert one.act("get-tracking-uri") == {"tracking-uri": "https://example.com/data-mlflow"}
    assert '"example.com"' in one.config_text if one.serves else True


def test_the_configuration_is_shown_without_its_secrets(unit: MakeUnit) -> None:
    secret = ops.testing.Secret({"openai-api-key": "sk-hidden"})
    one = related(unit, secrets=[secret], config={"stock-environment": secret.id})
    shown = one.act("show-config")["config"]
    for hidden in (PASSWORD, "p%40ss%2Fw%3Ard", ACCESS_KEY, SECRET_KEY, "sk-hidden"):
        assert hidden not in shown
    settings, real = tomllib.loads(shown), tomllib.loads(one.config_text)
    assert settings["stock"]["environment"] == {"OPENAI_API_KEY": "*****"}
    assert settings["server"] == real["server"]
    assert settings["database"]["uri"].startswith("postgresql://relation_1:*****@postgresql-k8s-primary.")


@pytest.mark.parametrize("action", ["show-config", "check-database"])
def test_before_there_is_a_configuration_the_action_says_so(unit: MakeUnit, action: str) -> None:
    one = unit(relations=[database({})])
    with pytest.raises(ops.testing.ActionFailed, match="no configuration yet"):
        one.act(action)
