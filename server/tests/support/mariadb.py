"""A real MariaDB, which stands for MySQL: a source of copies."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pymysql

from support.databases import upgrade_with_mlflow
from support.processes import LOCALHOST, ServerProcess, plain_environment


class MariaDbServer(ServerProcess):
    """MariaDB without passwords, in a temporary folder that ``remove`` deletes."""

    name = "mariadb"

    def __init__(self, program: Path) -> None:
        # pytest's temporary folders are closed to the user that the server runs as.
        super().__init__(Path(tempfile.mkdtemp(prefix="mariadb-")))
        self._program = program
        self._data = self.folder / "data"
        self._data.mkdir()
        options = [f"--datadir={self._data}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        if os.geteuid() == 0:
            self.user = "nobody"
            for each in (self.folder, self._data):
                shutil.chown(each, self.user)
            options.append(f"--user={self.user}")
        installer = str(shutil.which("mariadb-install-db"))
        # Our own folder for temporary files may be closed to that user, too.
        environment = plain_environment({"TMPDIR": str(self._data)})
        subprocess.run([installer, "--no-defaults", *options], env=environment, check=True, capture_output=True)

    def command(self) -> Sequence[str | Path]:
        return [
            *(self._program, "--no-defaults", f"--datadir={self._data}", f"--socket={self.folder}/socket"),
            *(f"--port={self.port}", f"--bind-address={LOCALHOST}", "--innodb-flush-log-at-trx-commit=0"),
            *(f"--pid-file={self.folder}/pid", f"--tmpdir={self._data}"),
        ]

    def is_ready(self) -> bool:
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """A connection of the driver."""
        return pymysql.connect(host=LOCALHOST, port=self.port, user="root", database=database, charset="utf8mb4")

    def create_database(self) -> str:
        """Makes a database with MLflow's schema; returns its URI."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mlflow CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        uri = f"mysql+pymysql://root@{LOCALHOST}:{self.port}/mlflow"
        upgrade_with_mlflow(uri)
        return uri

    def remove(self) -> None:
        """Kills the server and deletes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
