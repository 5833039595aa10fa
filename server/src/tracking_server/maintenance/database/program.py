"""A program, run by ``upgrade.py``: locks the database, then has MLflow's migrations change it.

One order comes on standard input as a line of JSON, so that no password is seen in the list of processes; events go
to standard output as lines of JSON. It ends, and the database rolls back, when its standard input is closed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from tracking_server.maintenance.database import preparing
from tracking_server.maintenance.database.catalogue import catalogue
from tracking_server.maintenance.database.engine import UnknownRevision, WrongSchema, make_engine
from tracking_server.maintenance.database.indexes import indexes_of
from tracking_server.maintenance.database.locks import Locked, LockWait, upgrade_lock
from tracking_server.maintenance.database.messages import Done, Event, Failed, FailureKind, Mode, Order, Stage
from tracking_server.store.database import Dialect

_LOCK_TIMEOUT = {Mode.OFFLINE: "30s", Mode.INITIALISE: "30s", Mode.ONLINE: "3s"}
_ONLINE_ATTEMPTS = 20


def main() -> None:
    """Carries the order out; the last event is ``done`` or ``failed``, and the exit code 0 or 1."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Of MLflow's and Alembic's warnings none is for the operator, who reads the differences that are told.
    warnings.simplefilter("ignore")
    try:
        _tell(_run(order))
    except Locked as error:
        _fail(FailureKind.LOCKED, str(error))
    except UnknownRevision as error:
        _fail(FailureKind.SCHEMA, str(error))
    except WrongSchema as error:
        _fail(FailureKind.SCHEMA, f"the upgraded schema is not MLflow's, so nothing was changed: {error}")
    except (sa.exc.SQLAlchemyError, OSError, ValueError, RuntimeError) as error:
        # One line: the rest of what SQLAlchemy says is the statement, and where to read about the class of error.
        _fail(FailureKind.DATABASE, str(error).partition("\n")[0])


def _run(order: Order) -> Done:
    engine = make_engine(order.uri)
    wait = LockWait.PATIENT if order.mode is Mode.INITIALISE else LockWait.NONE
    with upgrade_lock(engine, wait=wait, alone=order.mode is Mode.OFFLINE):
        # Here, because it loads MLflow, for seconds, which a locked database need not wait for.
        from tracking_server.maintenance.database import migrations

        with engine.connect() as connection:
            before = migrations.revision_of(connection)
        target = migrations.head()
        if order.mode in (Mode.PREPARE, Mode.ONLINE) and before is not None:
            for prepared in preparing.prepare(engine, before):
                _tell(Stage(f"built {prepared} beforehand"))
        if order.mode is Mode.PREPARE:
            return Done(before, before, 0, [])
        done = _upgrade(engine, order, before, target) if before != target else Done(before, target, 0, [])
        if order.artifact_root is not None:
            migrations.make_default_experiment(order.uri, order.artifact_root)
        return done


def _upgrade(engine: sa.Engine, order: Order, before: str | None, target: str) -> Done:
    attempts = _ONLINE_ATTEMPTS if order.mode is Mode.ONLINE else 1
    for attempt in range(1, attempts + 1):
        try:
            return _once(engine, order.mode, before, target)
        except sa.exc.OperationalError:
            # A writer had a table for longer than the server's own requests may wait for it.
            if attempt == attempts:
                raise
            _tell(Stage(f"a table was busy; attempt {attempt + 1} of {attempts}"))
    raise AssertionError("unreachable")


def _once(engine: sa.Engine, mode: Mode, before: str | None, target: str) -> Done:
    from tracking_server.maintenance.database import migrations

    count = 0

    def applied(revision: str) -> None:
        nonlocal count
        count += 1
        _tell(Event(revision))

    with _prepared_in_place(engine), engine.connect() as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            for name, value in (("lock_timeout", _LOCK_TIMEOUT[mode]), ("statement_timeout", "0")):
                connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
        migrations.upgrade(connection, applied)
        _tell(Stage("comparing the schema with MLflow's models"))
        essential, other = migrations.differences(connection)
        if essential:
            raise WrongSchema("; ".join(essential))
        if before is None:
            # While nothing is in the tables it costs nothing; later they are made beside servers, when told to.
            for index in indexes_of(Dialect(engine.dialect.name)):
                connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {index.definition}")
        _tell(Stage("committing"))
    known = catalogue().known_differences[engine.dialect.name]
    return Done(before, target, count, [difference for difference in other if difference not in known])


@contextlib.contextmanager
def _prepared_in_place(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name != "postgresql":
        yield
        return
    with preparing.used(engine):
        yield


def _tell(event: Event | Stage | Done | Failed) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def _fail(kind: FailureKind, reason: str) -> None:
    _tell(Failed(kind, reason))
    sys.exit(1)


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock would keep the interpreter from ending.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
