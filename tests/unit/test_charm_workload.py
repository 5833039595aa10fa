"""What reaches the container: plan, files, TLS, authorities, logs; and that no secret goes astray."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Callable
from typing import Any

import ops
import ops.testing
import pytest
from scenario.mocking import _MockPebbleClient
from tests.unit.conftest import Surroundings
from tests.unit.helpers import (
    ACCESS_KEY,
    ADOPTED,
    DATABASE_DATA,
    PASSWORD,
    SECRET_KEY,
    Unit,
    command,
    commands,
    confirmed,
    database,
    peers,
    status_of,
    store,
)
from tests.unit.relations.certificate_texts import authority

from relations.certificates import Certificates, ServingCertificate

MakeUnit = Callable[..., Unit]

CERTIFICATES = ops.testing.Relation("certificates", id=3, remote_app_name="self-signed-certificates")


def test_the_plan(unit: MakeUnit) -> None:
    one = unit()
    one.run()
    plan = one.container.plan.to_dict()
    service = plan["services"]["tracking-server"]
    assert service["command"] == "tracking-server serve --config /etc/tracking-server/tracking-server.toml"
    assert service["startup"] == "enabled"
    assert service["on-check-failure"] == {"alive": "restart"}
    assert not {"user", "user-id", "group"} & set(service), "Pebble itself is not root"
    assert set(service["environment"]) == {"CONFIGURATION_SHA256"}
    checks = plan["checks"]
    assert checks["ready"]["level"] == "ready"
    assert checks["ready"]["http"] == {"url": "http://localhost:5000/-/ready"}
    assert checks["alive"]["http"] == {"url": "http://localhost:5000/health"}
    assert "level" not in checks["alive"], "Pebble restarts the server; Kubernetes is not to restart the container"


def test_a_unit_that_does_not_serve_gets_no_requests(unit: MakeUnit) -> None:
    one = unit(relations=[database({})])
    one.run()
    assert not one.serves
    assert one.container.plan.checks["ready"].level == ops.pebble.CheckLevel.READY
    assert one.container.plan.services["tracking-server"].startup == "disabled"
    assert "alive" not in one.container.plan.checks


def test_a_server_that_stopped_is_started_again(unit: MakeUnit) -> None:
    one = unit()
    one.run()
    one.change(service_statuses={"tracking-server": ops.pebble.ServiceStatus.INACTIVE})
    one.run()
    assert one.serves


def test_a_container_that_lost_its_files_gets_them_again(unit: MakeUnit) -> None:
    one = unit(relations=[database(), store()])
    one.run()
    before = one.outcome
    (one.files / "tracking-server.toml").unlink()
    one.change(
        containers={
            ops.testing.Container(
                "tracking-server", can_connect=True, mounts=one.container.mounts, execs=one.container.execs
            )
        }
    )
    one.run(lambda on: on.pebble_ready(one.container))
    assert one.outcome == before


def test_files_that_others_changed_are_put_right(unit: MakeUnit) -> None:
    one = unit(relations=[database(), store()])
    one.run()
    file = one.files / "tracking-server.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    file.write_text("[server]\n")
    file.chmod(0o644)
    one.run()
    assert file.read_text() == text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_rotated_password_is_used_at_once(unit: MakeUnit) -> None:
    first = {"username": "relation_1", "password": PASSWORD}
    secret = ops.testing.Secret(first)
    contents = {"endpoints": DATABASE_DATA["endpoints"], "database": "mlflow", "secret-user": secret.id}
    one = unit(relations=[database(contents), store()], secrets=[secret])
    one.run()
    digest = one.container.plan.services["tracking-server"].environment
    held = one.state.get_secret(id=secret.id)
    rotated = ops.testing.Secret(first, latest_content={**first, "password": "next"}, id=secret.id, label=held.label)
    one.change(secrets=frozenset({rotated}))
    one.run(lambda on: on.secret_changed(rotated))
    assert "postgresql://relation_1:next@" in one.config_text
    assert one.container.plan.services["tracking-server"].environment != digest, "which restarts the server"


def test_several_endpoints_and_any_password_reach_the_server(unit: MakeUnit) -> None:
    hosts = "a.lan:5432,b.lan:5433"
    one = unit(relations=[database({**DATABASE_DATA, "endpoints": hosts, "password": "p@s:s/w?#%"}), store()])
    one.run()
    uri = tomllib.loads(one.config_text)["database"]["uri"]
    assert uri.startswith("postgresql://relation_1:p%40s%3As%2Fw%3F%23%25@a.lan:5432,b.lan:5433/mlflow")
    assert one.serves


def test_no_secret_is_anywhere_but_in_the_file(unit: MakeUnit, surroundings: Surroundings) -> None:
    secret = ops.testing.Secret({"openai-api-key": "sk-hidden"})
    failing = [status_of("behind"), command("db upgrade", "", 1, "no\n"), command("gc", "", 1, "no\n")]
    one = unit(
        relations=[database(), store(), peers()],
        secrets=[secret],
        config={"stock-environment": secret.id},
        execs=commands(*failing),
    )
    seen: list[Any] = []
    for act in ("migrate-database", "collect-garbage", "check-database", "show-config", "get-tracking-uri"):
        one.run()
        try:
            seen.append(one.act(act))
        except ops.testing.ActionFailed as failure:
            seen.append(failure.message)
        seen += [one.status.message, one.context.action_logs, one.container.plan.to_dict()]
        one.change(execs=frozenset(commands(*failing[1:])))
    seen += [line.message for line in one.context.juju_log]
    seen += [[*each.command, str(each.environment)] for each in one.context.exec_history["tracking-server"]]
    seen += [one.peers_app, one.peers_unit]
    seen += [one.said(number) for number in (1, 2)]
    text = json.dumps(seen, default=str)
    assert one.serves
    for hidden in (PASSWORD, "p%40ss%2Fw%3Ard", ACCESS_KEY, SECRET_KEY, "sk-hidden"):
        assert hidden not in text
        assert hidden in one.config_text or hidden == PASSWORD


@pytest.fixture
def certificate(monkeypatch: pytest.MonkeyPatch) -> dict[str, ServingCertificate | None]:
    """The certificate that the library would hand out; tests change it between two events."""
    held: dict[str, ServingCertificate | None] = {"it": ServingCertificate("CHAIN\n", "KEY\n", "CA\n")}
    monkeypatch.setattr(Certificates, "certificate", property(lambda self: held["it"]))
    return held


def test_tls_is_served_with_the_certificate_that_was_handed_out(
    unit: MakeUnit, certificate: dict[str, ServingCertificate | None]
) -> None:
    consumer = ops.testing.Relation("tracking-server", id=5, remote_app_name="notebook")
    one = unit(relations=[CERTIFICATES, consumer])
    one.run()
    assert tomllib.loads(one.config_text)["server"]["tls_key"] == "/etc/tracking-server/key.pem"
    assert (one.files / "key.pem").read_text() == "KEY\n"
    assert stat.S_IMODE((one.files / "key.pem").stat().st_mode) == 0o600
    checks = one.container.plan.to_dict()["checks"]
    for name in ("ready", "alive"):
        assert checks[name]["exec"] == {
            "command": f"tracking-server probe {name} --config /etc/tracking-server/tracking-server.toml"
        }
        assert "http" not in checks[name]
    assert one.act("get-tracking-uri") == {
        "tracking-uri": "https://mlflow.data.svc.cluster.local:5000",
        "ca": "CA\n",
    }
    assert "https://mlflow.data" in str(one.said(5))


def test_a_renewed_certificate_restarts_the_server(
    unit: MakeUnit, certificate: dict[str, ServingCertificate | None]
) -> None:
    one = unit(relations=[CERTIFICATES])
    one.run()
    before = one.container.plan.services["tracking-server"].environment
    certificate["it"] = ServingCertificate("NEXT\n", "KEY\n", "CA\n")
    one.run()
    assert (one.files / "certificate.pem").read_text() == "NEXT\n"
    assert one.container.plan.services["tracking-server"].environment != before


def test_the_last_certificate_serves_until_the_next_is_here(
    unit: MakeUnit, certificate: dict[str, ServingCertificate | None]
) -> None:
    one = unit(relations=[CERTIFICATES])
    one.run()
    before = one.outcome[1:]
    certificate["it"] = None
    one.run()
    assert one.outcome[1:] == before
    assert one.status == ops.WaitingStatus("waiting for self-signed-certificates to issue a certificate")


def test_nothing_is_served_in_the_clear_where_tls_is_asked_for(
    unit: MakeUnit, certificate: dict[str, ServingCertificate | None]
) -> None:
    certificate["it"] = None
    one = unit(relations=[CERTIFICATES])
    one.run()
    assert not one.serves
    assert one.status.name == "waiting"


def test_the_key_goes_when_tls_does(unit: MakeUnit, certificate: dict[str, ServingCertificate | None]) -> None:
    one = unit(relations=[CERTIFICATES])
    one.run()
    one.unrelate(3)
    assert {path.name for path in one.files.iterdir()} == {"tracking-server.toml"}
    assert "http" in one.container.plan.to_dict()["checks"]["ready"]
    assert one.serves


def test_received_authorities_are_trusted_besides_the_well_known(unit: MakeUnit) -> None:
    received = ops.testing.Relation(
        "receive-ca-cert",
        id=4,
        remote_app_name="ca",
        remote_app_data={"certificates": json.dumps([authority("ours")]), "version": "1"},
    )
    one = unit(relations=[database(), store(), received])
    (one.authorities / "ca-certificates.crt").write_text("WELL KNOWN\n")
    one.run()
    bundle = (one.files / "authorities.pem").read_text()
    assert bundle.startswith("WELL KNOWN\n")
    assert authority("ours") in bundle
    settings = tomllib.loads(one.config_text)
    path = "/etc/tracking-server/authorities.pem"
    assert settings["artifacts"]["s3_ca_file"] == path
    assert settings["stock"]["environment"] == {"REQUESTS_CA_BUNDLE": path, "SSL_CERT_FILE": path}
    one.unrelate(4)
    assert not (one.files / "authorities.pem").exists()


def test_the_databases_authority_verifies_it(unit: MakeUnit) -> None:
    one = unit(relations=[database({**DATABASE_DATA, "tls": "True", "tls-ca": authority("pg")}), store()])
    one.run()
    settings = tomllib.loads(one.config_text)["database"]
    assert (settings["tls"], settings["ca_file"]) == ("verify-full", "/etc/tracking-server/database-ca.pem")
    assert (one.files / "database-ca.pem").read_text() == authority("pg") + "\n"


def test_logs_go_to_loki_and_stop_going_there(unit: MakeUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    loki = ops.testing.Relation(
        "logging",
        id=8,
        remote_app_name="loki",
        remote_units_data={0: {"endpoint": json.dumps({"url": "http://loki:3100/loki/api/v1/push"})}},
    )
    one = unit(relations=[loki])
    one.run()
    (target,) = one.container.plan.log_targets.values()
    assert (target.type, target.location) == ("loki", "http://loki:3100/loki/api/v1/push")
    assert target.services == ["all"]
    one.unrelate(8)
    (target,) = one.container.plan.log_targets.values()
    assert target.services == ["-all"]
    added: list[object] = []
    monkeypatch.setattr(_MockPebbleClient, "add_layer", lambda *arguments, **options: added.append(arguments))
    one.run()
    assert added == []


@pytest.mark.parametrize(
    "error",
    [
        ops.pebble.APIError({}, 500, "Internal", "disk full"),
        ops.pebble.ConnectionError("gone"),
        ops.pebble.ChangeError("exited quickly with code 3", None),  # type: ignore[arg-type]  # the change itself is not read
        ops.pebble.TimeoutError("late"),
    ],
)
@pytest.mark.parametrize("call", ["add_layer", "replan_services", "push", "get_services", "get_checks"])
def test_a_failing_pebble_is_a_status_and_never_an_error(
    unit: MakeUnit, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    one = unit(relations=[database(), store(), peers({**ADOPTED, **confirmed()})])
    monkeypatch.setattr(_MockPebbleClient, call, fail)
    one.run()
    assert one.status.name == "blocked"
    assert one.status.message.startswith("server: ")


def test_kubernetes_is_asked_for_nothing_by_default(unit: MakeUnit, surroundings: Surroundings) -> None:
    one = unit()
    one.run()
    (asked,) = surroundings.asked
    assert (asked.external_service, asked.resources) == ("none", {})
