"""asyncpg's and the network's errors, translated once into the store's."""

from __future__ import annotations

import ssl

import asyncpg

from tracking_server.errors import ErrorCode, MlflowError
from tracking_server.store.database import CannotOpen, DataViolation, IntegrityViolation, StoreError

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError)
"""Everything that a call of asyncpg raises on its own account; TimeoutError is an OSError."""


class Conflict(StoreError):
    """PostgreSQL refused the transaction for another's sake, or for a changed schema; running it again may succeed."""


class ConnectionLost(StoreError):
    """The connection ended, or leads to a server that takes no work; another one may do."""


class ReadOnly(StoreError):
    """The transaction may not write: it was begun so, or its server has become a standby."""


_CONFLICTS = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    EOFError,
)


def may_pass(error: Exception) -> bool:
    """Whether a failed attempt to connect is worth another: the server is away or full, but has not refused us."""
    if isinstance(error, ssl.SSLError | asyncpg.ProtocolViolationError):
        return False
    return isinstance(
        error,
        OSError
        | asyncpg.PostgresConnectionError
        | asyncpg.CannotConnectNowError
        | asyncpg.TooManyConnectionsError
        | asyncpg.TargetServerAttributeNotMatched,
    )


def cannot_open(error: Exception) -> CannotOpen:
    """A failed first connection, for the person who configured it."""
    message = str(error) or type(error).__name__
    if "unsupported startup parameter" in message:
        message += "; a pooler in transaction mode needs database.transaction_pooling"
    return CannotOpen(message, may_pass=may_pass(error))


def translate(error: Exception, *, closed: bool) -> Exception:
    """What ``error`` is to the store: StoreError itself where it is nothing better known.

    ``closed`` tells that the connection is gone.
    """
    if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
        return MlflowError("The database took too long to answer", ErrorCode.DEADLINE_EXCEEDED)
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return IntegrityViolation(str(error), error.constraint_name)
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return ReadOnly(str(error))
    if isinstance(error, _CONFLICTS):
        return Conflict(str(error))
    if isinstance(error, asyncpg.DataError | asyncpg.ProgramLimitExceededError):
        # asyncpg refuses some values before they are sent; a wrong Python type among these is our own mistake.
        return TypeError(str(error)) if isinstance(error.__cause__, TypeError) else DataViolation(str(error))
    if isinstance(error, (*_LOST, OSError)) or closed:
        return ConnectionLost(str(error) or type(error).__name__)
    return StoreError(f"{type(error).__name__}: {error}")
