"""The names of the server, as its own door matches them."""

from __future__ import annotations

import pytest

import hosts
from tracking_server.config import ServerSettings
from tracking_server.door.security import DoorSecurity

ALLOWED = hosts.allowed_hosts(
    "mlflow/2",
    "data",
    ["10.1.2.3", "fd00::7"],
    ("tracking.example.com", "https://proxy.example.com:8443/data-mlflow", None, ""),
    ("*.lan", "exact.example.com:8080"),
)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "127.0.0.1",
            "[::1]",
            "mlflow",
            "mlflow.data",
            "mlflow.data.svc",
            "mlflow.data.svc.cluster.local",
        ),
        *("mlflow-endpoints.data.svc.cluster.local", "mlflow-2.mlflow-endpoints.data.svc.cluster.local"),
        *("10.1.2.3", "[fd00::7]", "tracking.example.com", "proxy.example.com", "notebook.lan"),
    ],
)
@pytest.mark.parametrize("port", ["", ":5000", ":443"])
def test_every_name_is_answered_on_every_port(host: str, port: str) -> None:
    door = DoorSecurity(ServerSettings(allowed_hosts=ALLOWED))
    assert door.refuse_host("/api/2.0/mlflow/runs/get", f"{host}{port}".encode()) is None


@pytest.mark.parametrize(
    "host", ["evil.example.com", "mlflow.other.svc", "10.1.2.4", "exact.example.com:80", "mlflow.data.evil.com", ""]
)
def test_no_other_name_is(host: str) -> None:
    door = DoorSecurity(ServerSettings(allowed_hosts=ALLOWED))
    assert door.refuse_host("/api/2.0/mlflow/runs/get", host.encode()) is not None


def test_a_certificate_names_what_clients_use() -> None:
    names = hosts.certificate_names("mlflow/2", "data", "tracking.example.com")
    assert names[0] == "mlflow.data.svc.cluster.local"
    assert {"mlflow", "mlflow-2.mlflow-endpoints.data.svc.cluster.local", "tracking.example.com"} <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("tls", "ingress", "external", "uri"),
    [
        (False, None, "", "http://mlflow.data.svc.cluster.local:5000"),
        (True, None, "", "https://mlflow.data.svc.cluster.local:5000"),
        (True, None, "a.example.com", "https://a.example.com:5000"),
        (False, "https://proxy/x", "a.example.com", "https://proxy/x"),
    ],
)
def test_the_uri(tls: bool, ingress: str | None, external: str, uri: str) -> None:
    assert hosts.tracking_uri("mlflow", "data", tls=tls, ingress=ingress, external_hostname=external) == uri
