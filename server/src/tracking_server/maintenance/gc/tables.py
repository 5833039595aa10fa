"""Which rows belong to what is collected: the foreign keys of mlflow/store/*/dbmodels/models.py, followed by hand.

Each table is emptied by a statement of its own, although the database would cascade: so a batch can be bounded and
rows can be counted. References that outlive their entity (``issues.source_run_id``, ``endpoints.experiment_id``) are
set to NULL by the database, and what has no foreign key (inputs, associations, model versions) stays, as with stock.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracking_server.store.queries import Query


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of ``table`` whose ``column`` names the entity that they belong to."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity: its table, the column of its ids and their type, and the tables that go with it."""

    table: str
    key: str
    type: str
    parts: tuple[Part, ...]


RUN = Kind(
    "runs",
    "run_uuid",
    "text",
    (
        Part("metrics", "run_uuid"),
        Part("latest_metrics", "run_uuid"),
        Part("params", "run_uuid"),
        Part("tags", "run_uuid"),
        Part("logged_model_metrics", "run_id"),
    ),
)
MODEL = Kind(
    "logged_models",
    "model_id",
    "text",
    (
        Part("logged_model_metrics", "model_id"),
        Part("logged_model_params", "model_id"),
        Part("logged_model_tags", "model_id"),
    ),
)
TRACE = Kind(
    "trace_info",
    "request_id",
    "text",
    (
        Part("span_metrics", "trace_id"),
        Part("spans", "trace_id"),
        Part("assessments", "trace_id"),
        Part("trace_metrics", "request_id"),
        Part("trace_request_metadata", "request_id"),
        Part("trace_tags", "request_id"),
    ),
)
SCORER = Kind(
    "scorers",
    "scorer_id",
    "text",
    (Part("online_scoring_configs", "scorer_id"), Part("scorer_versions", "scorer_id")),
)
REVIEW_QUEUE = Kind(
    "review_queues",
    "queue_id",
    "text",
    (
        Part("review_queue_items", "queue_id"),
        Part("review_queue_label_schemas", "queue_id"),
        Part("review_queue_users", "queue_id"),
    ),
)
EXPERIMENT = Kind(
    "experiments",
    "experiment_id",
    "int",
    (
        Part("experiment_tags", "experiment_id"),
        Part("datasets", "experiment_id"),
        Part("issues", "experiment_id"),
        Part("label_schemas", "experiment_id"),
        # They have no foreign key, and stock empties them all the same: SQLite gives a number out again.
        Part("sql_trace_rollup_rebuild_queue", "experiment_id"),
        Part("sql_trace_metric_daily_rollups", "experiment_id"),
        Part("sql_span_cost_daily_rollups", "experiment_id"),
        Part("sql_assessment_daily_rollups", "experiment_id"),
    ),
)
JOB = Kind("jobs", "id", "text", (Part("job_locks", "job_id"),))

OWNED_BY_EXPERIMENT = (TRACE, MODEL, RUN, SCORER, REVIEW_QUEUE)
"""The kinds whose column ``experiment_id`` names the experiment with which they go."""


DELETE_HISTORY = Query.build(
    "gc_delete_history",
    "WITH gone AS (DELETE FROM metrics WHERE ctid = ANY(ARRAY("
    "SELECT ctid FROM metrics WHERE run_uuid = $1 AND (key, step) >= ($2, $3::bigint) ORDER BY key, step LIMIT $4))"
    " RETURNING key, step)"
    " SELECT count(*) AS rows, max(key) AS key,"
    " (SELECT max(step) FROM gone WHERE key = (SELECT max(key) FROM gone)) AS step FROM gone",
)
"""Deletes at most ``$4`` metrics of the run ``$1``, from the key ``$2`` and the step ``$3`` on; the last one's of both.

For PostgreSQL alone, where deleted rows stay in the index as long as anybody may see them: each batch of a long
history begins where the last one ended, instead of stepping over all that is gone.
"""


def delete_some(kind: Kind, part: Part) -> Query:
    """Deletes at most ``$2`` rows of ``part`` that belong to the entities ``$1``."""
    # ctid and rowid, because DELETE takes no LIMIT.
    return Query(
        f"gc_delete_{part.table}",
        f"DELETE FROM {part.table} WHERE ctid = ANY(ARRAY("
        f"SELECT ctid FROM {part.table} WHERE {part.column} = ANY($1::{kind.type}[]) LIMIT $2))",
        f"DELETE FROM {part.table} WHERE rowid IN ("
        f"SELECT rowid FROM {part.table} WHERE {part.column} IN (SELECT value FROM json_each(?1)) LIMIT ?2)",
    )


def delete_entities(kind: Kind) -> Query:
    """Deletes the entities ``$1`` themselves."""
    return Query(
        f"gc_delete_{kind.table}",
        f"DELETE FROM {kind.table} WHERE {kind.key} = ANY($1::{kind.type}[])",
        f"DELETE FROM {kind.table} WHERE {kind.key} IN (SELECT value FROM json_each(?1))",
    )


def count_part(kind: Kind, part: Part) -> Query:
    """Counts the rows of ``part`` that belong to the entities ``$1``."""
    return Query(
        f"gc_count_{part.table}",
        f"SELECT count(*) FROM {part.table} WHERE {part.column} = ANY($1::{kind.type}[])",
        f"SELECT count(*) FROM {part.table} WHERE {part.column} IN (SELECT value FROM json_each(?1))",
    )


def owned_ids(kind: Kind) -> Query:
    """The ids of at most ``$2`` entities of the experiment ``$1``."""
    return Query.build(
        f"gc_owned_{kind.table}",
        f"SELECT {kind.key} AS id FROM {kind.table} WHERE experiment_id = $1 LIMIT $2",
    )


def count_owned(kind: Kind, part: Part | None = None) -> Query:
    """Counts the entities of the experiment ``$1``, or their rows in ``part``.

    Without what the steps before it take: deleted runs, and models by their ids ``$2`` or deleted until ``$3``.
    """
    conditions = {
        RUN: ("AND lifecycle_stage <> 'deleted'",) * 2,
        MODEL: (
            "AND NOT (lifecycle_stage = 'deleted' AND (model_id = ANY($2::text[]) OR last_updated_timestamp_ms <= $3))",
            "AND NOT (lifecycle_stage = 'deleted' AND (model_id IN (SELECT value FROM json_each(?2))"
            " OR last_updated_timestamp_ms <= ?3))",
        ),
    }
    postgresql, sqlite = conditions.get(kind, ("", ""))
    owned = f"{kind.table} WHERE experiment_id = {{}} {{}}"
    what = "SELECT count(*) FROM "
    if part is not None:
        what += f"{part.table} WHERE {part.column} IN (SELECT {kind.key} FROM "
    end = "" if part is None else ")"
    name = kind.table if part is None else part.table
    return Query(
        f"gc_count_owned_{name}",
        what + owned.format("$1", postgresql) + end,
        what + owned.format("?1", sqlite) + end,
    )
