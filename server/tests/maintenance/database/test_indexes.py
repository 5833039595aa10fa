"""``db indexes``: made, used by the queries they are for, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import asyncpg
import psycopg
import pytest

from support.databases import Dialect
from tracking_server.exit_codes import ExitCode
from tracking_server.maintenance.database.indexes import INDEXES, indexes_of
from tracking_server.search.logged_models import logged_models_page
from tracking_server.search.model_versions import model_versions_page
from tracking_server.search.plan import SearchPlan
from tracking_server.search.runs import runs_page
from tracking_server.search.sql import SHORT_VALUE
from tracking_server.store import database as store
from tracking_server.store.lock_names import UPGRADE_KEY

from .conftest import Database
from .old_schemas import engine_of

DatabaseAt = Callable[[str], Database]
POSTGRESQL = store.Dialect.POSTGRESQL

QUERIES: dict[str, SearchPlan] = {
    "tracking_server_runs_experiment_start": runs_page(POSTGRESQL, ["7"], 1, 100, None, [], None),
    "tracking_server_runs_experiment_start_last": runs_page(
        POSTGRESQL, ["7"], 1, 100, None, ["attributes.start_time DESC"], None
    ),
    "tracking_server_logged_models_experiment": logged_models_page(POSTGRESQL, ["7"], 50, None, [], [], None),
    "tracking_server_model_versions_run": model_versions_page(POSTGRESQL, 100, f"run_id = '{7:032x}'", [], None),
    "tracking_server_tags_value": runs_page(
        POSTGRESQL, ["7"], 1, 100, f"tags.`mlflow.parentRunId` = '{7:032x}'", [], None
    ),
}


def states(database: Database) -> dict[str, str]:
    return {each["name"]: each["state"] for each in json.loads(database.run("indexes", "status", "--json").stdout)}


def test_they_come_and_go(database: str, database_at: DatabaseAt) -> None:
    command = database_at(database)
    indexes = indexes_of(store.Dialect(database.partition(":")[0]))
    assert set(states(command).values()) == {"missing"}
    assert command.run("indexes", "create").stdout == f"{len(indexes)} made\n"
    assert states(command) == {each.name: "present" for each in indexes}
    assert command.run("indexes", "create").stdout == "0 made\n"
    assert all(each.purpose.split()[0] in command.run("indexes", "status").stdout for each in indexes)
    assert command.status()[1]["state"] == "current"
    assert command.upgrade()["differences"] == []
    assert command.run("indexes", "drop").stdout == f"{len(indexes)} dropped\n"
    assert set(states(command).values()) == {"missing"}


def test_every_name_has_our_prefix() -> None:
    assert all(each.name.startswith("tracking_server_") for each in INDEXES)


def test_each_is_used_by_its_query(postgres_database: str, database_at: DatabaseAt) -> None:
    of_experiments = "tracking_server_experiment_tags_experiment"  # See test_plans.py.
    assert {each.name for each in INDEXES} == QUERIES.keys() | {of_experiments}
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        for statement in (
            "INSERT INTO experiments (name, lifecycle_stage) SELECT 'e' || g, 'active' FROM generate_series(1, 100) g",
            "INSERT INTO runs (run_uuid, start_time, lifecycle_stage, experiment_id, source_type, status)"
            " SELECT lpad(to_hex(g), 32, '0'), g, 'active', 1 + g % 10, 'LOCAL', 'FINISHED'"
            " FROM generate_series(1, 20000) g",
            "INSERT INTO tags (key, value, run_uuid) SELECT 'mlflow.parentRunId', run_uuid, run_uuid FROM runs",
            "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
            " last_updated_timestamp_ms, status, lifecycle_stage)"
            " SELECT 'm-' || g, 1 + g % 100, 'm', 'x', g, g, 2, 'active' FROM generate_series(1, 20000) g",
            "INSERT INTO registered_models (name) VALUES ('m')",
            "INSERT INTO model_versions (name, version, run_id, current_stage)"
            " SELECT 'm', g, lpad(to_hex(g), 32, '0'), 'None' FROM generate_series(1, 20000) g",
        ):
            connection.execute(statement)
    assert database_at(postgres_database).run("indexes", "create").returncode == 0
    for name, plan in QUERIES.items():
        explained = _explained(postgres_database, plan)
        # Runs are read in its order, and only as many as the page needs.
        assert (f"Index Scan using {name} on runs" if "runs" in name else name) in explained


def _explained(uri: str, plan: SearchPlan) -> str:
    statement = plan.query.postgresql
    for number in range(len(plan.arguments), 0, -1):
        statement = statement.replace(f"${number}", f"%(a{number})s")
    values = {f"a{number}": value for number, value in enumerate(plan.arguments, 1)}
    with psycopg.connect(uri) as connection:
        connection.execute("ANALYZE")
        rows = connection.execute(f"EXPLAIN {statement}".encode(), values).fetchall()
    return "\n".join(str(row[0]) for row in rows)


def test_one_whose_making_was_killed_is_made_anew(postgres_database: str, database_at: DatabaseAt) -> None:
    command = database_at(postgres_database)
    name = INDEXES[0].name
    with engine_of(postgres_database).begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX {name} ON runs (name)")
    admin = _as_superuser(postgres_database)
    with psycopg.connect(admin, autocommit=True) as superuser:
        superuser.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (name,))
    assert states(command)[name] == "invalid"
    assert command.run("indexes", "create").returncode == 0
    assert states(command)[name] == "present"


def _as_superuser(uri: str) -> str:
    return uri.replace("://mlflow:", "://postgres:")


def test_not_beside_an_upgrade(postgres_database: str, database_at: DatabaseAt) -> None:
    with psycopg.connect(postgres_database) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (UPGRADE_KEY,))
        assert database_at(postgres_database).run("indexes", "create").returncode == ExitCode.LOCKED


@pytest.mark.parametrize("dialect", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def test_an_upgrade_keeps_them(dialect: Dialect, request: pytest.FixtureRequest, database_at: DatabaseAt) -> None:
    from .old_schemas import OldDatabases

    old: OldDatabases = request.getfixturevalue("old_databases")
    command = database_at(old.create("3.9", dialect))
    assert command.run("indexes", "create").returncode == 0
    assert command.upgrade()["differences"] == []
    assert states(command) == {each.name: "present" for each in indexes_of(store.Dialect(dialect))}


def test_values_that_are_too_long_for_an_index_are_stored_and_found(
    postgres_database: str, database_at: DatabaseAt
) -> None:
    assert database_at(postgres_database).run("indexes", "create").returncode == 0
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'e', 'active')")
        for run, length in enumerate((SHORT_VALUE, SHORT_VALUE + 1, 8000)):
            value = "".join(chr(0x4E00 + (7 * number + number // 100) % 20_000) for number in range(length))
            run_id = f"{run:032x}"
            connection.execute(
                "INSERT INTO runs (run_uuid, lifecycle_stage, experiment_id) VALUES (%s, 'active', 7)", (run_id,)
            )
            connection.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('long', %s, %s)", (value, run_id))
            plan = runs_page(POSTGRESQL, ["7"], 1, 100, f"tags.long = '{value}'", [], None)
            assert asyncio.run(_found(postgres_database, plan)) == [run_id]


async def _found(uri: str, plan: SearchPlan) -> list[str]:
    connection = await asyncpg.connect(uri)
    try:
        return [row["run_uuid"] for row in await connection.fetch(plan.query.postgresql, *plan.arguments)]
    finally:
        await connection.close()
