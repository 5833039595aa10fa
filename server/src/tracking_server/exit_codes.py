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

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "the command did what it was asked to",
    ExitCode.FAILURE: "an unexpected failure; the log says more",
    ExitCode.BAD_CONFIGURATION: "the configuration or a command-line argument is wrong; every wrong key is named",
    ExitCode.DATABASE_NOT_READY: "the database's schema is behind MLflow's or unknown to it",
    ExitCode.ADDRESS_IN_USE: "another process listens on the configured address",
    ExitCode.UNREACHABLE: "something that the server needs cannot be reached (doctor)",
}


class FatalError(Exception):
    """Ends the command with ``exit_code`` and its message, without a traceback. Holds no secret."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code
