"""MLflow's own migrations, run in one transaction. Imports MLflow: for a process of its own, never a serving one.

Stock commits in between on SQLite (mlflow/store/db_migrations/env.py), so a killed upgrade leaves a schema that no
revision names. Here both databases keep their old schema until everything, verified, is committed at once.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, Protocol

import mlflow.store.model_registry.dbmodels.models
import mlflow.store.tracking.dbmodels.models
import mlflow.store.workspace.dbmodels.models  # noqa: F401  makes its tables known to MLflow's metadata, as those do
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tracking_server.maintenance.database.engine import UnknownRevision
from tracking_server.store.schema import FOREIGN_TABLES

# What MLflow's code cannot do without; other differences are told and do not undo an upgrade.
_ESSENTIAL = ("add_table", "add_column")
# Alembic's words for what the database has beyond the models: an operator's own, or ours.
_SURPLUS = ("remove_table", "remove_index", "remove_column", "remove_constraint", "remove_fk", "remove_table_comment")


_READ = re.compile(r'(?:FROM|JOIN) "?(\w+)"?', re.IGNORECASE)


class _Applied(Protocol):
    def __call__(self, revision: str) -> None: ...


def head() -> str:
    """The installed MLflow's newest revision."""
    found = _script().get_current_head()
    if found is None:
        raise ValueError("MLflow has no migrations")
    return found


def history() -> list[tuple[str, str]]:
    """Every revision with its description, oldest first."""
    found = [(script.revision, (script.doc or "").partition("\n")[0]) for script in _script().walk_revisions()]
    return found[::-1]


def revision_of(connection: sa.Connection) -> str | None:
    """The revision that the database is at; None for an empty one. Raises UnknownRevision."""
    heads = MigrationContext.configure(connection).get_current_heads()
    known = {script.revision for script in _script().walk_revisions()}
    if len(heads) > 1 or not known.issuperset(heads):
        raise UnknownRevision(f"the installed MLflow does not know the database's revision {','.join(heads)}")
    if heads:
        return heads[0]
    tables = {name for name in sa.inspect(connection).get_table_names() if not name.startswith("alembic_")}
    # Stock makes the first tables in a transaction of their own: a killed start may have left just these.
    if tables and tables != set(InitialBase.metadata.tables):
        raise UnknownRevision(f"the database {FOREIGN_TABLES}")
    return None


def upgrade(connection: sa.Connection, applied: _Applied, destination: str = "head") -> None:
    """Brings the database to ``destination`` inside the connection's transaction; calls ``applied`` after each step."""
    if revision_of(connection) is None:
        InitialBase.metadata.create_all(connection)
    script = _script()

    def steps(revision: Any, context: object) -> Any:
        return script._upgrade_revs(destination, revision)

    def on_version_apply(ctx: object, step: Any, heads: object, run_args: object) -> None:
        applied(step.up_revision_id)

    with EnvironmentContext(script_config(), script, fn=steps, destination_rev=destination) as environment:
        environment.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            on_version_apply=on_version_apply,
        )
        environment.run_migrations()


def make_default_experiment(uri: str, artifact_root: str) -> None:
    """Makes the Default experiment, where there is none, as ``mlflow server`` does. Raises RuntimeError."""
    try:
        SqlAlchemyStore(uri, artifact_root)
    except MlflowException as error:
        raise RuntimeError(str(error)) from error


def differences(connection: sa.Connection) -> tuple[list[str], list[str]]:
    """What the schema lacks of MLflow's models: what is essential, and what is not, each in words."""
    essential: list[str] = []
    other: list[str] = []
    context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
    for difference in _flat(compare_metadata(context, Base.metadata)):
        if difference[0] not in _SURPLUS:
            (essential if difference[0] in _ESSENTIAL else other).append(_in_words(difference))
    return essential, other


class Recording:
    """What migrations did: the statements that change something, and the tables whose rows they read."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.reads: set[str] = set()

    @contextlib.contextmanager
    def of(self, engine: sa.Engine) -> Iterator[None]:
        """Listens to ``engine`` while open."""
        sa.event.listen(engine, "before_cursor_execute", self._before)
        try:
            yield
        finally:
            sa.event.remove(engine, "before_cursor_execute", self._before)

    def _before(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        text = " ".join(statement.split())
        if text.upper().startswith(("SELECT", "WITH")):
            self.reads.update(name for name in _READ.findall(text) if name in Base.metadata.tables)
        elif not text.upper().startswith(("PRAGMA", "BEGIN", "SHOW")) and "alembic_version" not in text:
            self.statements.append(_written_out(text, parameters))


def script_config() -> AlembicConfig:
    """Alembic's configuration of MLflow's migrations, for no database in particular."""
    config = AlembicConfig()
    config.set_main_option("script_location", "mlflow:store/db_migrations")
    config.set_main_option("path_separator", "os")
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(script_config())


def _flat(found: list[Any]) -> Iterator[tuple[Any, ...]]:
    for each in found:
        # Changes of one column come as a list of their own.
        yield from each if isinstance(each, list) else [each]


def _written_out(statement: str, parameters: Any) -> str:
    """The statement with its values in it, for reading."""
    values = list(parameters.values()) if isinstance(parameters, dict) else list(parameters or ())
    parts = re.split(r"%\(\w+\)s(?:::\w+)?|\?", statement) if values else [statement]
    if len(parts) != len(values) + 1:
        return f"{statement} -- {parameters}"
    return parts[0] + "".join(_literal(value) + part for value, part in zip(values, parts[1:], strict=True))


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def _in_words(difference: tuple[Any, ...]) -> str:
    kind, *rest = difference
    if kind in ("add_table", "add_index", "add_constraint", "add_fk"):
        thing = rest[0]
        table = getattr(thing, "table", None)
        return f"{kind} {thing.name}" + (f" on {table.name}" if table is not None and table is not thing else "")
    if kind == "add_column":
        return f"add_column {rest[1]}.{rest[2].name}"
    return f"{kind} {rest[1]}.{rest[2]}: {rest[-2]!r} instead of {rest[-1]!r}"
