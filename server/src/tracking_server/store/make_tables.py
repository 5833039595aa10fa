"""A program, run by ``schema.initialise``: has MLflow make its tables, one process at a time.

It alone in this package imports MLflow's stores; no serving process may import it.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

_ADVISORY_LOCK = 0x6D6C666C6F77  # "mlflow"


class Order(msgspec.Struct):
    """What standard input says: SQLAlchemy's URI, and where the Default experiment's artifacts go."""

    uri: str
    artifact_root: str


def main() -> None:
    """Does what ``mlflow server`` does on an empty database: SqlAlchemyStore makes tables and Default experiment."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        with _one_at_a_time(sqlalchemy.make_url(order.uri)):
            SqlAlchemyStore(order.uri, order.artifact_root)
    except (sqlalchemy.exc.SQLAlchemyError, MlflowException, OSError, ValueError) as error:
        # One line: the rest of what SQLAlchemy says is where to read more about the class of error.
        sys.exit(str(error).partition("\n")[0])


@contextmanager
def _one_at_a_time(url: sqlalchemy.URL) -> Iterator[None]:
    if url.get_backend_name() == "sqlite":
        if not url.database:
            raise ValueError("an SQLite database needs a file")
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not the database file itself: closing it here would drop SQLite's own locks on it.
        with path.with_name(f".{path.name}.init-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        return
    # The lock ends with its transaction, so that it also works behind a PgBouncer in transaction mode.
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).begin() as connection:
        if url.get_backend_name() == "postgresql":
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        yield


if __name__ == "__main__":
    main()
