"""Model versions, their tags and stages (mlflow/store/model_registry/sqlalchemy_store.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracking_server.clock import now_millis
from tracking_server.errors import invalid_parameter
from tracking_server.search.plan import SearchPlan
from tracking_server.store import webhooks
from tracking_server.store.database import Connection, Database, Row
from tracking_server.store.queries import Query, QueryFile, of_page
from tracking_server.store.registered_models import check_version, no_model, no_version, require

_QUERIES = QueryFile("model_versions")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version to be made. ``source`` is what the client sees, ``storage_location`` where the files are."""

    name: str
    source: str
    storage_location: str | None
    run_id: str | None
    run_link: str
    description: str
    tags: Mapping[str, str]


def _of_page(page: Query) -> Query:
    return of_page("name, version", page, _QUERIES["versions_of_page"])


_GET_VERSION = _of_page(_QUERIES["page_of_version"])
_GET_VERSION_BY_ALIAS = _of_page(_QUERIES["page_of_alias"])


async def get(source: Database | Connection, name: str, version: int) -> Row:
    """The version as ``versions_of_page`` describes it. Raises RESOURCE_DOES_NOT_EXIST."""
    check_version(source, name, version)
    row = await source.fetch_one(_GET_VERSION, name, version)
    if row is None:
        raise no_version(name, version)
    return row


async def get_by_alias(source: Database | Connection, name: str, alias: str) -> Row:
    """As ``get``. Raises INVALID_PARAMETER_VALUE where the model has no such alias."""
    row = await source.fetch_one(_GET_VERSION_BY_ALIAS, name, alias)
    if row is None:
        await require(source, name)
        raise invalid_parameter(f"Registered model alias {alias} not found.")
    return row


async def search(database: Database, plan: SearchPlan) -> tuple[Sequence[Row], str | None]:
    """The versions of one page in order, and the next page's token."""
    return plan.page(await database.fetch(_of_page(plan.query), *plan.arguments))


async def create(connection: Connection, new: NewVersion) -> Row:
    """Stores the next version of the model; call ``webhooks.forward_if_any`` first. Returns it as ``get`` does."""
    now = now_millis()
    # The lock that this takes makes the next statement see the last version.
    if not await connection.execute(_QUERIES["touch_model"], new.name, now):
        raise no_model(new.name)
    row = await connection.fetch_one(
        _QUERIES["insert_version"],
        new.name,
        now,
        new.description,
        new.source,
        new.storage_location,
        new.run_id,
        new.run_link,
    )
    assert row is not None
    version: int = row[0]
    await connection.execute_many(_QUERIES["insert_tag"], [(new.name, version, *tag) for tag in new.tags.items()])
    return await get(connection, new.name, version)


async def update(connection: Connection, name: str, version: int, description: str | None) -> Row:
    """A new description; returns the version as ``get`` does."""
    check_version(connection, name, version)
    if not await connection.execute(_QUERIES["update_version"], name, version, description, now_millis()):
        raise no_version(name, version)
    return await get(connection, name, version)


async def transition(connection: Connection, name: str, version: int, stage: str, *, archive_others: bool) -> Row:
    """A new stage; ``archive_others`` takes the other versions out of it. Returns the version as ``get`` does."""
    check_version(connection, name, version)
    now = now_millis()
    await connection.execute(_QUERIES["touch_model"], name, now)
    if archive_others:
        await connection.execute(_QUERIES["archive_others"], name, version, stage, now)
    if not await connection.execute(_QUERIES["set_stage"], name, version, stage, now):
        raise no_version(name, version)
    return await get(connection, name, version)


async def delete(connection: Connection, name: str, version: int) -> None:
    """Blanks the version, whose number and tags stay, and deletes its aliases."""
    check_version(connection, name, version)
    now = now_millis()
    await connection.execute(_QUERIES["touch_model"], name, now)
    if not await connection.execute(_QUERIES["redact_version"], name, version, now):
        raise no_version(name, version)
    await connection.execute(_QUERIES["delete_aliases_of_version"], name, version)


async def set_tag(connection: Connection, name: str, version: int, key: str, value: str) -> None:
    """Sets a tag of the version."""
    check_version(connection, name, version)
    await webhooks.forward_if_any(connection)
    if not await connection.execute(_QUERIES["upsert_tag"], name, version, key, value):
        raise no_version(name, version)


async def delete_tag(connection: Connection, name: str, version: int, key: str) -> None:
    """Deletes a tag of the version, if it has it."""
    check_version(connection, name, version)
    await webhooks.forward_if_any(connection)
    if await connection.fetch_one(_QUERIES["version_exists"], name, version) is None:
        raise no_version(name, version)
    await connection.execute(_QUERIES["delete_tag"], name, version, key)


async def lock_logged_model(connection: Connection, model_id: str) -> Row | None:
    """The logged model (experiment_id, artifact_location, source_run_id), None where there is none or it is deleted."""
    return await connection.fetch_one(_QUERIES["lock_logged_model"], model_id)


async def versions_of_logged_model(connection: Connection, model_id: str) -> str | None:
    """The JSON in which the logged model names the versions made of it."""
    row = await connection.fetch_one(_QUERIES["versions_of_logged_model"], model_id)
    return None if row is None else str(row[0])


async def set_versions_of_logged_model(
    connection: Connection, model_id: str, experiment_id: int, versions: str
) -> None:
    """Stores what ``versions_of_logged_model`` returns."""
    await connection.execute(_QUERIES["set_versions_of_logged_model"], model_id, experiment_id, versions)
