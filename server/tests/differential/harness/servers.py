"""Starts what the differential tests need: PostgreSQL, template databases, stock MLflow, the tracking server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

_START_SECONDS = 120.0
_TEMPLATE = "mlflow_template"
_INITIALISE = (
    "import sys; from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore;"
    "SqlAlchemyStore(sys.argv[1], 'mlflow-artifacts:/')"
)


@dataclass(slots=True)
class Process:
    """A child process with a log, answering at ``url``."""

    url: str
    popen: subprocess.Popen[bytes]
    log: Path

    def wait_until_healthy(self) -> None:
        """Returns when /health answers 200; raises RuntimeError with the log's end when it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5):  # noqa: S310 - our own http URL
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"no answer at {self.url}/health; the log ends:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """Ends the process and its children."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()


def start_stock(database_uri: str, folder: Path) -> Process:
    """Stock MLflow with one worker on a free port; its artifacts and log stand in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database_uri),
        *("--artifacts-destination", str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1"),
    ]
    extra = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return _start(command, folder, port, extra)


def start_tracking_server(database_uri: str, folder: Path) -> Process:
    """The tracking server with one worker on a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = [
        *(str(Path(sys.executable).with_name("tracking-server")), "serve", "--listen", f"127.0.0.1:{port}"),
        *("--database", database_uri, "--artifacts", str(folder / "artifacts"), "--workers", "1"),
    ]
    return _start(command, folder, port, {"MLFLOW_DISABLE_TELEMETRY": "true"})


def _start(command: list[str], folder: Path, port: int, extra: dict[str, str]) -> Process:
    log = folder / "server.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=folder,
            env=os.environ | extra,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(f"http://127.0.0.1:{port}", popen, log)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def sqlite_template(folder: Path) -> Path:
    """A SQLite file at MLflow's schema head with its default experiment."""
    path = folder / "template.db"
    _initialise(f"sqlite:///{path}", folder)
    return path


def _initialise(uri: str, folder: Path) -> None:
    subprocess.run([sys.executable, "-c", _INITIALISE, uri], cwd=folder, check=True, capture_output=True)  # noqa: S603


@dataclass(slots=True)
class Postgres:
    """A throw-away PostgreSQL on a free port of 127.0.0.1, with a template database at MLflow's head."""

    folder: Path = Path()
    port: int = 0
    _popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Initialises a cluster and starts it; PostgreSQL refuses root, so root becomes the user postgres."""
        programs = _postgres_programs()
        user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="differential-postgres-"))
        if user is not None:
            shutil.chown(self.folder, user, user)
        data = self.folder / "data"
        subprocess.run(  # noqa: S603
            [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True,
            capture_output=True,
            user=user,
            cwd=self.folder,
        )
        self.port = _free_port()
        options = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=127.0.0.1"]
        options += [f"port={self.port}", f"unix_socket_directories={self.folder}", "max_connections=100"]
        with (self.folder / "log").open("wb") as log:
            self._popen = subprocess.Popen(  # noqa: S603
                [programs / "postgres", "-D", data, *(part for option in options for part in ("-c", option))],
                stdout=log,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait()
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        _initialise(self.uri(_TEMPLATE), self.folder)

    def uri(self, database: str) -> str:
        """The URI of a database in this server."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, name: str) -> str:
        """A new copy of the template; returns its URI."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(_TEMPLATE))
            )
        return self.uri(name)

    def stop(self) -> None:
        """Ends the server and removes its files."""
        if self._popen is not None:
            self._popen.send_signal(signal.SIGINT)
            self._popen.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                psycopg.connect(self.uri("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-4000:]}")


def _postgres_programs() -> Path:
    found = shutil.which("initdb")
    if found is None:
        raise RuntimeError("initdb is not on PATH; install PostgreSQL")
    return Path(found).resolve().parent
