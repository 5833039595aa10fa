"""How the command ends: every exit code, once, and the error that carries one."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of ``tracking-server``; a service manager and the charm decide by them what to do next."""

    OK = 0
    FAILURE = 1
    BAD_CONFIGURATION = 2
    DATABASE_NOT_READY = 3
    ADDRESS_IN_USE = 4
    UNREACHABLE = 5
    SCHEMA_BEHIND = 10
    SCHEMA_AHEAD = 11
    NOT_MLFLOW = 12
    DATABASE_EMPTY = 13
    LOCKED = 14
    GC_INCOMPLETE = 15

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "the command did what it was asked to",
    ExitCode.FAILURE: "an unexpected failure; the log says more",
    ExitCode.BAD_CONFIGURATION: "the configuration or a command-line argument is wrong; every wrong key is named",
    ExitCode.DATABASE_NOT_READY: "the database's schema is behind MLflow's or unknown to it",
    ExitCode.ADDRESS_IN_USE: "another process listens on the configured address",
    ExitCode.UNREACHABLE: "something that the server needs cannot be reached (doctor, db, probe)",
    ExitCode.SCHEMA_BEHIND: "the database's schema is older than the installed MLflow's (db status)",
    ExitCode.SCHEMA_AHEAD: "the database's schema is of an MLflow that the installed one does not know (db)",
    ExitCode.NOT_MLFLOW: "the database holds tables that are not MLflow's (db)",
    ExitCode.DATABASE_EMPTY: "the database has no tables yet (db status)",
    ExitCode.LOCKED: "another upgrade, or servers that serve the database, hold its lock (db upgrade)",
    ExitCode.GC_INCOMPLETE: "something that was to be collected had to be kept; the summary names it (gc)",
}


class FatalError(Exception):
    """Ends the command with ``exit_code`` and its message, without a traceback. Holds no secret."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
