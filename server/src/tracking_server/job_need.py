"""Whether stock MLflow has background jobs to run from its start on.

Jobs are rows of MLflow's database, which outlive the server that took them on, and its scheduler looks for more of them
every minute (mlflow/server/jobs/utils.py, register_periodic_tasks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tracking_server.config import Config, DatabaseKind
from tracking_server.errors import MlflowError
from tracking_server.store import schema
from tracking_server.store.database import Connection, StoreError
from tracking_server.store.queries import Query
from tracking_server.upstream.command import stock_environment

UNFINISHED = {"PENDING": 0, "RUNNING": 1, "NEEDS_RECOVERY": 6}
"""The states of mlflow/entities/_job_status.py in which a job is still to be run, as the database has them."""

SCHEDULED = {
    "online_scoring_scheduler": "a scorer evaluates new traces automatically",
    "trace_archival_scheduler": "stock MLflow is to archive traces",
    "sql_trace_rollup_scheduler": "stock MLflow is to roll up traces",
}
"""MLflow's periodic tasks, and how each is called here."""

_UNFINISHED_JOB = Query.build("unfinished_job", "SELECT id FROM jobs WHERE status IN ($1, $2, $3) LIMIT 1")
# At the rate 0 a configuration is switched off (sqlalchemy_store.py, get_active_online_scorers).
_ONLINE_SCORER = Query.build(
    "online_scorer", "SELECT scorer_id FROM online_scoring_configs WHERE sample_rate > 0 LIMIT 1"
)


async def need_of_jobs(config: Config) -> str | None:
    """Why stock MLflow must run background jobs as soon as it runs, in words for the log; None: it need not yet."""
    environment = stock_environment(config)
    has_schedule = environment.get("MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS", "true").lower() not in ("false", "0")
    if has_schedule and (option := _scheduled_by_options(config.stock.arguments, environment)) is not None:
        return SCHEDULED[option]
    if config.database.kind is DatabaseKind.OTHER:
        return f"what {config.database.uri.dialect} holds is not known here"
    try:
        return await _need_in_database(config, has_schedule)
    except (MlflowError, StoreError) as error:
        # A job that waits for ever is worse than the memory.
        return f"the database did not tell whether it has jobs: {error}"


def _scheduled_by_options(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    """The periodic task that stock's own options switch on."""
    given = {argument.partition("=")[0] for argument in arguments}
    if "--trace-archival-config" in given or environment.get("MLFLOW_TRACE_ARCHIVAL_CONFIG"):
        return "trace_archival_scheduler"
    if environment.get("MLFLOW_SQL_TRACE_ROLLUPS_ENABLED", "").lower() in ("true", "1"):
        return "sql_trace_rollup_scheduler"
    return None


async def _need_in_database(config: Config, has_schedule: bool) -> str | None:
    # Here, because it loads the drivers.
    from tracking_server.store.connect import open_database

    async def look(connection: Connection) -> str | None:
        tables = await schema.tables_in(connection)
        if "jobs" in tables and await connection.fetch_one(_UNFINISHED_JOB, *UNFINISHED.values()) is not None:
            return "the database holds a job that is not finished"
        if has_schedule and "online_scoring_configs" in tables and await connection.fetch_one(_ONLINE_SCORER):
            return SCHEDULED["online_scoring_scheduler"]
        return None

    database = await open_database(replace(config.database, pool_min=0, pool_max=1))
    try:
        return await database.read(look)
    finally:
        await database.close()
