"""``probe`` and ``version``: what a service manager and the charm ask."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.fixtures import Starter
from support.ours import Settings, TrackingServer
from support.processes import free_port, http_status, plain_environment
from tracking_server import __version__
from tracking_server.exit_codes import ExitCode
from tracking_server.store.schema import head_of, installed_revisions

from .conftest import RunCommand


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for a name that is not this machine's, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mlflow.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class _Server(TrackingServer):
    def is_ready(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0 and "accepting requests" in self.logs()


def server_on(folder: Path, uri: str, **sections: dict[str, str | list[str]]) -> _Server:
    settings: Settings = {"stock": {"enabled": False}, **sections}
    return _Server(folder, database_uri=uri, artifacts_destination=str(folder / "artifacts"), settings=settings)


def test_a_running_server_is_alive_and_ready(
    run: RunCommand, sqlite_database: str, start: Starter, tmp_path: Path
) -> None:
    own: dict[str, str | list[str]] = {"static_prefix": "/mlflow", "allowed_hosts": ["*.example.com"]}
    server = start(server_on(tmp_path / "server", sqlite_database, server=own))
    assert http_status(server.port, "/mlflow/-/ready") == 403  # the Host header matters
    for level in ("alive", "ready"):
        done = run("probe", level, "--config", str(server.config_path))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    server.stop()
    done = run("probe", "alive", "--config", str(server.config_path))
    assert done.returncode == ExitCode.UNREACHABLE
    assert done.stderr.startswith(f"error: no answer from 127.0.0.1:{server.port}: ")


def test_its_own_certificate_is_trusted(run: RunCommand, sqlite_database: str, start: Starter, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    own: dict[str, str | list[str]] = {"tls_certificate": str(certificate), "tls_key": str(key)}
    server = start(server_on(tmp_path / "server", sqlite_database, server=own))
    for level in ("alive", "ready"):
        assert run("probe", level, "--config", str(server.config_path)).returncode == 0
    (tmp_path / "other").mkdir()
    other, _ = self_signed(tmp_path / "other")
    done = run("probe", "alive", "--config", str(server.config_path), TRACKING_SERVER_SERVER_TLS_CERTIFICATE=str(other))
    assert done.returncode == ExitCode.UNREACHABLE
    assert "certificate" in done.stderr


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_the_reason_of_a_server_that_is_not_ready_is_told(run: RunCommand) -> None:
    with answering(b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"ready":false,"database":"away"}') as port:
        done = run("probe", "ready", TRACKING_SERVER_SERVER_PORT=str(port))
    assert done.returncode == ExitCode.UNREACHABLE
    assert done.stderr == 'error: /-/ready answered 503: {"ready":false,"database":"away"}\n'


def test_another_program_on_the_port_is_not_our_server(run: RunCommand) -> None:
    with answering(b"220 mail.example.com ESMTP\r\n") as port:
        done = run("probe", "alive", TRACKING_SERVER_SERVER_PORT=str(port))
    assert done.returncode == ExitCode.UNREACHABLE
    assert "something else" in done.stderr


def test_a_file_that_is_not_toml_is_a_bad_configuration(run: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[server")
    assert run("probe", "alive", "--config", "x.toml").returncode == ExitCode.BAD_CONFIGURATION


def test_it_loads_next_to_nothing(tmp_path: Path) -> None:
    """It is asked every few seconds, and shares a processor with the server."""
    program = (
        "import sys\n"
        "from tracking_server.cli import main\n"
        "try:\n"
        f"    main(['probe', 'alive'])\n"
        "except SystemExit as end:\n"
        f"    assert end.code == {int(ExitCode.UNREACHABLE)}, end.code\n"
        "loaded = {'asyncio', 'ssl', 'http', 'msgspec', 'rich', 'tracking_server.config'} & sys.modules.keys()\n"
        "assert not loaded, loaded\n"
    )
    environment = plain_environment({"TRACKING_SERVER_SERVER_PORT": str(free_port())})
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)


def test_the_versions(run: RunCommand) -> None:
    done = run("version", "--json")
    expected = {"server": __version__, "mlflow": version("mlflow"), "schema": head_of(installed_revisions())}
    assert json.loads(done.stdout) == expected
    assert run("version").stdout == "".join(f"{name} {value}\n" for name, value in expected.items())
