"""Experiments and their tags in the database (mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracking_server.clock import now_millis
from tracking_server.errors import ErrorCode, MlflowError, does_not_exist, invalid_parameter
from tracking_server.search.plan import SearchPlan
from tracking_server.store.assessments import refuse_if_assessed
from tracking_server.store.database import Connection, Database, DataViolation, Dialect, IntegrityViolation, Row
from tracking_server.store.queries import Query, QueryFile, of_page

_QUERIES = QueryFile("experiments")
_MAX_CUSTOM_VIEWS = 50
_CUSTOM_VIEW_PREFIX = "mlflow.customView.view"

Tag = tuple[str, str | None]


def _of_page(page: Query) -> Query:
    return of_page("experiment_id", page, _QUERIES["experiments_of_page"])


_BY_ID = _of_page(Query.build("get_experiment", "SELECT experiment_id FROM experiments WHERE experiment_id = $1"))
_BY_NAME = _of_page(
    Query.build(
        "get_experiment_by_name", "SELECT experiment_id FROM experiments WHERE name = $1 AND workspace = 'default'"
    )
)


async def get(database: Database, experiment_id: int) -> Row:
    """The experiment with its tags as JSON text (NULL for none). Raises RESOURCE_DOES_NOT_EXIST."""
    return await find(database, _BY_ID, experiment_id)


async def get_by_name(database: Database, name: str) -> Row | None:
    """As ``get``, by name; None where no experiment has it."""
    return await database.fetch_one(_BY_NAME, name)


async def search(database: Database, plan: SearchPlan) -> tuple[Sequence[Row], str | None]:
    """The experiments of one page in order, as ``get`` has them, and the next page's token."""
    return plan.page(await database.fetch(_of_page(plan.query), *plan.arguments))


async def create(connection: Connection, name: str, tags: Sequence[Tag], location_of: Callable[[int], str]) -> int:
    """A new experiment; ``location_of`` makes its artifact location from its id. Raises RESOURCE_ALREADY_EXISTS."""
    try:
        row = await connection.fetch_one(_QUERIES["insert_experiment"], name, now_millis())
        assert row is not None
        experiment_id: int = row[0]
        await connection.execute_many(_QUERIES["insert_tag"], [(experiment_id, *tag) for tag in tags])
    except IntegrityViolation as error:
        message = f"Experiment(name={name}) already exists. Error: {error}"
        raise MlflowError(message, ErrorCode.RESOURCE_ALREADY_EXISTS) from error
    await connection.execute(_QUERIES["set_artifact_location"], experiment_id, location_of(experiment_id))
    return experiment_id


async def ensure_default(database: Database, artifact_location: str) -> None:
    """Makes the experiment "0", which clients and the UI expect, where it is missing (``_initialize_store_state``)."""
    if await database.fetch_one(_QUERIES["lifecycle_stage"], 0) is None:
        await database.write(
            lambda connection: connection.execute(
                _QUERIES["insert_default_experiment"], artifact_location, now_millis()
            )
        )


async def rename(connection: Connection, experiment_id: int, name: str) -> None:
    """A new name for an active experiment."""
    if await _locked_stage(connection, experiment_id) != "active":
        raise MlflowError("Cannot rename a non-active experiment.", ErrorCode.INVALID_STATE)
    await connection.execute(_QUERIES["rename_experiment"], experiment_id, name, now_millis())


async def delete(connection: Connection, experiment_id: int) -> None:
    """Marks an active experiment and all its runs deleted. Raises ForwardRequest where runs have assessments."""
    if await _locked_stage(connection, experiment_id) != "active":
        raise no_experiment(experiment_id)
    await refuse_if_assessed(connection)
    await connection.execute(_QUERIES["set_lifecycle_stage"], experiment_id, "deleted", now_millis())
    await connection.execute(_QUERIES["delete_runs_of_experiment"], experiment_id, now_millis())


async def restore(connection: Connection, experiment_id: int) -> None:
    """Makes a deleted experiment and all its runs active."""
    if await _locked_stage(connection, experiment_id) != "deleted":
        raise no_experiment(experiment_id)
    await connection.execute(_QUERIES["set_lifecycle_stage"], experiment_id, "active", now_millis())
    await connection.execute(_QUERIES["restore_runs_of_experiment"], experiment_id)


async def set_tag(connection: Connection, experiment_id: int, key: str, value: str | None) -> None:
    """Sets a tag of an active experiment; adding one custom view too many is refused."""
    await require_active(connection, experiment_id)
    if key.startswith(_CUSTOM_VIEW_PREFIX):
        views = {row[0] for row in await connection.fetch(_QUERIES["other_custom_views"], experiment_id)}
        if key not in views and len(views) >= _MAX_CUSTOM_VIEWS:
            raise too_many_custom_views(f" for experiment {experiment_id}")
    await connection.execute(_QUERIES["upsert_tag"], experiment_id, key, value)


async def delete_tag(connection: Connection, experiment_id: int, key: str, given_id: str) -> None:
    """Deletes a tag of an active experiment; ``given_id`` is the id as the request spells it."""
    await require_active(connection, experiment_id)
    if not await connection.execute(_QUERIES["delete_tag"], experiment_id, key):
        raise does_not_exist(f"No tag with name: {key} in experiment with id {given_id}")


async def require_active(connection: Connection, experiment_id: int) -> None:
    """Raises unless the experiment exists and is active."""
    row = await find(connection, _QUERIES["lifecycle_stage"], experiment_id)
    check_active(experiment_id, row[0])


def check_active(experiment_id: int, lifecycle_stage: str) -> None:
    """Raises INVALID_PARAMETER_VALUE for an experiment in another stage than ``active``."""
    if lifecycle_stage != "active":
        raise invalid_parameter(
            f"The experiment {experiment_id} must be in the 'active' state. Current state is {lifecycle_stage}."
        )


def check_custom_views(tags: Sequence[Tag]) -> None:
    """Raises INVALID_PARAMETER_VALUE for more custom views than an experiment may have."""
    if sum(key.startswith(_CUSTOM_VIEW_PREFIX) for key, _ in tags) > _MAX_CUSTOM_VIEWS:
        raise too_many_custom_views("")


def too_many_custom_views(where: str) -> MlflowError:
    return invalid_parameter(
        f"Unable to create another custom view{where}; the maximum number of custom views per experiment is"
        f" {_MAX_CUSTOM_VIEWS}. Delete an existing custom view before creating a new one."
    )


async def _locked_stage(connection: Connection, experiment_id: int) -> str:
    return str((await find(connection, _QUERIES["lock_lifecycle_stage"], experiment_id))[0])


async def find(source: Database | Connection, query: Query, experiment_id: int) -> Row:
    """The first row of ``query``, which takes an experiment's id. Raises RESOURCE_DOES_NOT_EXIST without one."""
    try:
        row = await source.fetch_one(query, experiment_id)
    except DataViolation:
        # An id that no row can have; PostgreSQL refuses it, in stock too, but SQLite has nothing to say.
        if source.dialect is Dialect.POSTGRESQL:
            raise
        row = None
    if row is None:
        raise no_experiment(experiment_id)
    return row


def no_experiment(experiment_id: int) -> MlflowError:
    """There is no such experiment."""
    return does_not_exist(f"No Experiment with id={experiment_id} exists")
