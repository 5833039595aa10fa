"""The tables that a collection empties are those that MLflow's own foreign keys name."""

from __future__ import annotations

from maintenance.gc import everything
from tracking_server.maintenance.gc import tables

# Set to NULL by the database.
OUTLIVING = {("issues", "source_run_id"), ("endpoints", "experiment_id")}
# The other column of a table that goes with something else of the same experiment.
ALSO_OF_THE_EXPERIMENT = {
    "logged_model_metrics",
    "logged_model_params",
    "logged_model_tags",
    "online_scoring_configs",
    "spans",
}
# An experiment whose scorers are used by a guardrail is kept, as stock cannot delete it either.
KEEPING = {("guardrails", "scorer_id"), ("guardrails", "scorer_version")}


def test_every_foreign_key_to_what_goes_is_followed() -> None:
    kinds = (tables.RUN, tables.MODEL, tables.TRACE, tables.SCORER, tables.REVIEW_QUEUE, tables.EXPERIMENT, tables.JOB)
    followed = {(part.table, part.column) for kind in kinds for part in kind.parts}
    followed |= {(kind.table, "experiment_id") for kind in tables.OWNED_BY_EXPERIMENT}
    going = {kind.table for kind in kinds} | {table for table, _ in followed}
    for name, table in everything.TABLES.items():
        for key in table.foreign_keys:
            reference = (name, key.parent.name)
            if key.column.table.name not in going or reference in OUTLIVING | KEEPING:
                continue
            if key.parent.name == "experiment_id" and name in ALSO_OF_THE_EXPERIMENT:
                continue
            # Span metrics go with their trace, which is half of the key of their span.
            assert reference in followed or name == "span_metrics", f"{reference} refers to {key.column}"
