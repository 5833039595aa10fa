"""A real PostgreSQL on a port and with files of its own, that can be stopped, killed and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from support.processes import LOCALHOST, ServerProcess, identity, plain_environment

# Without fsync a kill loses nothing that was committed; only a crash of the whole machine would.
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "log_min_messages": "warning"}
_SUPERUSER = "postgres"
_OWNER = "mlflow"


class PostgresServer(ServerProcess):
    """PostgreSQL from the programs in ``programs``, in a temporary folder that ``remove`` deletes.

    ``settings`` are lines of postgresql.conf, on top of fast ones for tests: a benchmark sets fsync=on. Databases
    belong to the role ``mlflow``, which is no superuser. It listens on ``address`` only.
    """

    name = "postgresql"
    start_timeout = 60.0
    stop_signal = signal.SIGINT  # PostgreSQL's fast shutdown: does not wait for clients

    def __init__(self, programs: Path, settings: Mapping[str, str] | None = None, address: str = LOCALHOST) -> None:
        # PostgreSQL refuses to run as root, and pytest's temporary folders are closed to other users.
        super().__init__(Path(tempfile.mkdtemp(prefix="postgres-")))
        self.address = address
        if os.geteuid() == 0:
            self.user = "nobody"
            shutil.chown(self.folder, self.user)
        self.password = secrets.token_urlsafe(12)
        self._programs = self._reachable(programs)
        self._settings = _SETTINGS | dict(settings or {})
        self._data = self.folder / "data"
        self._initialise()

    def command(self) -> Sequence[str | Path]:
        settings = self._settings | {
            "listen_addresses": self.address,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self._data, *options]

    def is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def uri(self, database: str, role: str = _OWNER) -> str:
        """The URI of a database, as MLflow takes it."""
        return f"postgresql://{role}:{self.password}@{self.address}:{self.port}/{database}"

    @property
    def admin_uri(self) -> str:
        """The URI with which a superuser connects, to no database of a test's."""
        return self.uri("postgres", _SUPERUSER)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Creates a database, as a copy of ``template``, and returns its URI."""
        self.execute("CREATE DATABASE {} OWNER {} TEMPLATE {}", name, _OWNER, template)
        return self.uri(name)

    def drop_database(self, name: str) -> None:
        """Drops a database, ending connections to it; does nothing when there is none."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def execute(self, statement: str, *identifiers: str) -> None:
        """Runs a statement as superuser, ``identifiers`` quoted in place of each {}."""
        with self._connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, identifiers)))

    def remove(self) -> None:
        """Kills the server and deletes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.admin_uri, autocommit=True, connect_timeout=5)

    def _initialise(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        if self.user is not None:
            shutil.chown(password_file, self.user)
        self._run(
            *("initdb", "--pgdata", self._data, "--username", _SUPERUSER, "--pwfile", password_file),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet scram-sha-256\n")
        statement = f"CREATE ROLE {_OWNER} LOGIN CREATEDB PASSWORD '{self.password}'"
        self._run("postgres", "--single", "-D", self._data, "postgres", stdin=statement)

    def _run(self, program: str, *arguments: str | Path, stdin: str = "") -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder,
            env=plain_environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            **identity(self.user),
        )
        if done.returncode:
            raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def _reachable(self, programs: Path) -> Path:
        """The folder of programs, copied with its libraries to where ``user`` may read it, if need be."""
        if self.user is None or _can_run(programs / "postgres", self.user):
            return programs
        installation, libraries = programs.parent, programs.parents[1].with_suffix(".libs")
        package = self.folder / installation.parent.name
        shutil.copytree(installation, package / installation.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, package.with_suffix(".libs"))
        return package / installation.name / "bin"


def _can_run(program: Path, user: str) -> bool:
    try:
        subprocess.run([program, "--version"], cwd="/", check=True, capture_output=True, **identity(user))
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True
