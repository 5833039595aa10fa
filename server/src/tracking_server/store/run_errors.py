"""How a run refuses: stock's own words (mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

from tracking_server.errors import MlflowError, does_not_exist, invalid_parameter


def run_not_found(run_id: str | None) -> MlflowError:
    """There is no such run; stock writes the id that was not given as None."""
    return does_not_exist(f"Run with id={run_id} not found")


def run_not_active(run_id: str, stage: str) -> MlflowError:
    """The run is there, deleted."""
    return invalid_parameter(f"The run {run_id} must be in the 'active' state. Current state is {stage}.")
