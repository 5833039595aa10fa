"""What is to be collected: the same selection, with the same refusals, as mlflow/cli/__init__.py ``gc``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tracking_server.errors import MlflowError, does_not_exist, invalid_parameter
from tracking_server.maintenance.gc.summary import Kept
from tracking_server.settings_gc import age_in_milliseconds
from tracking_server.store.database import Database, Row
from tracking_server.store.queries import QueryFile

QUERIES = QueryFile("gc")

NOTHING_BY_AGE = -1
"""A time before everything, in milliseconds: nothing is selected by its age."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. Ids that are None select everything deleted of that kind, or with ``only`` nothing.

    Jobs go only with ``jobs`` or ``job_ids``. ``older_than`` is a text such as 30d; None selects any age.
    """

    older_than: str | None = None
    run_ids: Sequence[str] | None = None
    experiment_ids: Sequence[str] | None = None
    logged_model_ids: Sequence[str] | None = None
    jobs: bool = False
    job_ids: Sequence[str] | None = None
    only: bool = False


@dataclass(frozen=True, slots=True)
class Jobs:
    """Finished jobs: of these ids (empty for all), made before ``before`` (None for any time)."""

    ids: list[str]
    before: int | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Deleted runs and models by id or deleted until a time, all deleted runs of the experiments, and these.

    Times are milliseconds since 1970. ``kept`` names experiments that were selected by their age and must wait.
    """

    run_ids: list[str]
    runs_until: int
    model_ids: list[str]
    models_until: int
    experiment_ids: list[int]
    jobs: Jobs | None
    kept: tuple[Kept, ...] = ()


async def select(database: Database, request: Request, now: int) -> Selection:
    """The selection of ``request`` at the time ``now``; reads only. Raises MlflowError for what stock refuses."""
    minimum = _minimum_age(request.older_than)
    until = NOTHING_BY_AGE if request.only else now - minimum
    run_ids, model_ids = list(request.run_ids or ()), list(request.logged_model_ids or ())
    kept: list[Kept] = []
    if request.experiment_ids:
        experiment_ids = await _named_experiments(database, request, now - minimum)
    elif request.only:
        experiment_ids = []
    else:
        rows = await database.fetch(QUERIES["gc_deleted_experiments"], int(bool(request.older_than)), now - minimum)
        experiment_ids = [row["id"] for row in rows]
    await _check_runs(database, run_ids)
    await _check_models(database, model_ids, request.older_than, now - minimum)
    if request.older_than:
        young = await database.fetch(QUERIES["gc_young_runs"], run_ids, experiment_ids, now - minimum)
        refused = {row["id"]: row["experiment_id"] for row in young}
        named = set(run_ids) if not request.experiment_ids else refused.keys()
        for run_id in refused:
            if run_id in named:
                raise _too_young("Run", "runs", run_id, request.older_than)
        # Only experiments that nobody named: they wait, where stock would give up.
        for experiment_id in sorted(set(refused.values())):
            experiment_ids.remove(experiment_id)
            reason = f"a run of it was deleted less than {request.older_than} ago"
            kept.append(Kept(f"experiment {experiment_id}", reason))
    guarded = await database.fetch(QUERIES["gc_guarded_experiments"], experiment_ids)
    for row in guarded:
        experiment_ids.remove(row["id"])
        kept.append(Kept(f"experiment {row['id']}", "a guardrail of the gateway uses a scorer of it"))
    jobs = None
    if request.jobs or request.job_ids:
        jobs = Jobs(list(request.job_ids or ()), now - minimum if minimum else None)
    return Selection(
        run_ids,
        NOTHING_BY_AGE if request.run_ids is not None else until,
        model_ids,
        NOTHING_BY_AGE if request.logged_model_ids is not None else until,
        experiment_ids,
        jobs,
        tuple(kept),
    )


def _minimum_age(older_than: str | None) -> int:
    try:
        return age_in_milliseconds(older_than) if older_than else 0
    except ValueError:
        raise invalid_parameter(
            f"Could not parse any time information from '{older_than}'. "
            "Examples of valid strings: '8h', '2d8h5m20s', '2m4s'"
        ) from None


async def _named_experiments(database: Database, request: Request, threshold: int) -> list[int]:
    ids = [_experiment_number(text) for text in request.experiment_ids or ()]
    found = _by_id(await database.fetch(QUERIES["gc_experiments_by_id"], ids))
    for experiment_id in ids:
        if experiment_id not in found:
            raise does_not_exist(f"No Experiment with id={experiment_id} exists")
    active = [str(each) for each in ids if found[each]["lifecycle_stage"] != "deleted"]
    if active:
        raise invalid_parameter(
            f"Experiments {active} are not in the deleted lifecycle stage. "
            "Only experiments in the deleted lifecycle stage can be hard-deleted."
        )
    if request.older_than:
        young = [str(each) for each in ids if found[each]["changed"] is None or found[each]["changed"] >= threshold]
        if young:
            raise invalid_parameter(
                f"Experiments {young} are not older than the required "
                f"age. Only experiments older than {request.older_than} can be deleted."
            )
    return sorted(set(ids))


async def _check_runs(database: Database, run_ids: list[str]) -> None:
    if not run_ids:
        return
    found = _by_id(await database.fetch(QUERIES["gc_runs_by_id"], run_ids))
    for run_id in run_ids:
        if run_id not in found:
            raise does_not_exist(f"Run with id={run_id} not found")
        if found[run_id]["lifecycle_stage"] != "deleted":
            raise MlflowError(
                f"Run {run_id} is not in `deleted` lifecycle stage. Only runs in"
                " `deleted` lifecycle stage can be deleted."
            )


async def _check_models(database: Database, model_ids: list[str], older_than: str | None, threshold: int) -> None:
    if not model_ids:
        return
    found = _by_id(await database.fetch(QUERIES["gc_models_by_id"], model_ids))
    for model_id in model_ids:
        if model_id not in found:
            raise does_not_exist(f"Logged model with ID '{model_id}' not found.")
        if found[model_id]["lifecycle_stage"] != "deleted":
            raise MlflowError(
                f"Logged model {model_id} is not in `deleted` lifecycle stage. "
                "Only logged models in `deleted` lifecycle stage can be deleted."
            )
        if older_than and found[model_id]["changed"] > threshold:
            raise _too_young("Logged model", "logged models", model_id, older_than)


def _experiment_number(text: str) -> int:
    # mlflow/utils/validation.py, _parse_experiment_id; the database's numbers have 32 bits.
    try:
        number = int(text)
    except ValueError:
        message = f"Invalid experiment ID '{text}'. Experiment ID must be a valid integer."
        raise invalid_parameter(message) from None
    if not -(2**31) <= number < 2**31:
        raise does_not_exist(f"No Experiment with id={number} exists")
    return number


def _by_id(rows: Sequence[Row]) -> dict[str | int, Row]:
    return {row["id"]: row for row in rows}


def _too_young(one: str, many: str, entity_id: str, older_than: str) -> MlflowError:
    return invalid_parameter(
        f"{one} {entity_id} is not older than the required age. Only {many} older than {older_than} can be deleted."
    )
