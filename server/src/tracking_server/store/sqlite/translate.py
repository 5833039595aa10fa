"""sqlite3's errors, translated once into the store's."""

from __future__ import annotations

import re
import sqlite3

from tracking_server.errors import ErrorCode, MlflowError, Unavailable
from tracking_server.store.database import DataViolation, IntegrityViolation, StoreError

DRIVER_ERRORS = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What a call of sqlite3 raises on its own account; the last two for values that it cannot bind."""

_CONSTRAINT = re.compile(r"(?:UNIQUE|NOT NULL|CHECK) constraint failed: (.+)")
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TOO_BIG = (sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH)


def is_locked(error: Exception) -> bool:
    """Whether another process holds a lock that we waited for in vain."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _BUSY


def translate(error: Exception) -> Exception:
    """What ``error`` is to the store: StoreError itself where it is nothing better known."""
    if isinstance(error, OverflowError | UnicodeEncodeError | sqlite3.DataError):
        return DataViolation(str(error))
    # Only errors from SQLite itself carry a code; sqlite3's own complaints about its use do not.
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if primary == sqlite3.SQLITE_CONSTRAINT:
        found = _CONSTRAINT.match(str(error))
        return IntegrityViolation(str(error), found[1] if found else None)
    if primary in _TOO_BIG:
        return DataViolation(str(error))
    if is_locked(error):
        return Unavailable("The database is locked by another process", retry_after=1)
    if primary == sqlite3.SQLITE_INTERRUPT:
        return MlflowError("The database took too long to answer", ErrorCode.DEADLINE_EXCEEDED)
    if primary == sqlite3.SQLITE_FULL:
        return Unavailable("The database's disk is full", retry_after=60)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return Unavailable(f"The database file cannot be used: {error}", retry_after=60)
    return StoreError(f"{type(error).__name__}: {error}")
