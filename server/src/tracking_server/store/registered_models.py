"""Registered models, their tags and aliases (mlflow/store/model_registry/sqlalchemy_store.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from tracking_server.clock import now_millis
from tracking_server.errors import ErrorCode, MlflowError, does_not_exist
from tracking_server.search.plan import SearchPlan
from tracking_server.store import webhooks
from tracking_server.store.database import Connection, Database, Dialect, IntegrityViolation, Row
from tracking_server.store.queries import Query, QueryFile, of_page
from tracking_server.validation_registry import IS_PROMPT_TAG

_QUERIES = QueryFile("registered_models")


def _of_page(page: Query) -> Query:
    return of_page("name", page, _QUERIES["models_of_page"])


_GET_MODEL = _of_page(_QUERIES["page_of_model"])


async def get(source: Database | Connection, name: str) -> Sequence[Row]:
    """The model's rows as ``models_of_page`` describes them, at least one. Raises RESOURCE_DOES_NOT_EXIST."""
    rows = await source.fetch(_GET_MODEL, name)
    if not rows:
        raise no_model(name)
    return rows


async def get_latest_version(source: Database | Connection, name: str) -> Row:
    """The version with the highest number, as a row of ``models_of_page``. Raises RESOURCE_DOES_NOT_EXIST."""
    rows = [row for row in await get(source, name) if row["version"] is not None]
    if not rows:
        raise does_not_exist(f"Latest version not found for model {name}.")
    return max(rows, key=_version)


async def search(database: Database, plan: SearchPlan) -> tuple[Sequence[Sequence[Row]], str | None]:
    """The rows of each model of one page, as from ``get``, and the next page's token."""
    rows = await database.fetch(_of_page(plan.query), *plan.arguments)
    return plan.page([list(of_model) for _, of_model in groupby(rows, key=_model)])


async def create(connection: Connection, name: str, description: str, tags: Mapping[str, str]) -> int:
    """A new model; returns the time of its creation (ms). Raises RESOURCE_ALREADY_EXISTS."""
    await webhooks.forward_if_any(connection)
    now = now_millis()
    if not await connection.execute(_QUERIES["insert_model"], name, now, description):
        is_prompt = await connection.fetch_one(_QUERIES["has_prompt_tag"], name) is not None
        raise _name_is_taken(name, is_prompt=is_prompt, wants_prompt=IS_PROMPT_TAG in tags)
    await connection.execute_many(_QUERIES["insert_tag"], [(name, *tag) for tag in tags.items()])
    return now


async def update(connection: Connection, name: str, description: str) -> Sequence[Row]:
    """A new description; returns the rows of the model as from ``get``."""
    if not await connection.execute(_QUERIES["update_model"], name, description, now_millis()):
        raise no_model(name)
    return await get(connection, name)


async def rename(connection: Connection, name: str, new_name: str) -> Sequence[Row]:
    """A new name for the model and all that belongs to it; returns its rows as from ``get``."""
    now = now_millis()
    try:
        if not await connection.execute(_QUERIES["rename_model"], name, new_name, now):
            raise no_model(name)
    except IntegrityViolation as error:
        raise MlflowError(
            f"Registered Model (name={new_name}) already exists. Error: the name is taken.",
            ErrorCode.RESOURCE_ALREADY_EXISTS,
        ) from error
    await connection.execute(_QUERIES["touch_versions"], new_name, now)
    return await get(connection, new_name)


async def delete(connection: Connection, name: str) -> None:
    """Deletes the model with its versions, tags and aliases."""
    # Locks the model first, so that no version can be added meanwhile.
    if not await connection.execute(_QUERIES["lock_model"], name):
        raise no_model(name)
    for query in ("delete_version_tags", "delete_versions", "delete_tags", "delete_aliases", "delete_model"):
        await connection.execute(_QUERIES[query], name)


async def set_tag(connection: Connection, name: str, key: str, value: str) -> None:
    """Sets a tag of the model."""
    await webhooks.forward_if_any(connection)
    if not await connection.execute(_QUERIES["upsert_tag"], name, key, value):
        raise no_model(name)


async def delete_tag(connection: Connection, name: str, key: str) -> None:
    """Deletes a tag of the model, if it has it."""
    await webhooks.forward_if_any(connection)
    if not await connection.execute(_QUERIES["delete_tag"], name, key):
        await require(connection, name)


async def set_alias(connection: Connection, name: str, alias: str, version: int) -> None:
    """Points an alias at a version. Raises RESOURCE_DOES_NOT_EXIST where the model has no such version."""
    check_version(connection, name, version)
    await webhooks.forward_if_any(connection)
    if not await connection.execute(_QUERIES["upsert_alias"], name, alias, version):
        raise no_version(name, version)


async def delete_alias(connection: Connection, name: str, alias: str) -> None:
    """Deletes an alias of the model, if it has it."""
    await webhooks.forward_if_any(connection)
    if not await connection.execute(_QUERIES["delete_alias"], name, alias):
        await require(connection, name)


async def require(source: Database | Connection, name: str) -> None:
    """Raises RESOURCE_DOES_NOT_EXIST unless there is such a model."""
    if await source.fetch_one(_QUERIES["model_exists"], name) is None:
        raise no_model(name)


def no_model(name: str) -> MlflowError:
    """There is no such registered model."""
    return does_not_exist(f"Registered Model with name={name} not found")


def check_version(source: Database | Connection, name: str, version: int) -> None:
    """Raises RESOURCE_DOES_NOT_EXIST for a number that SQLite cannot hold; PostgreSQL refuses it, in stock too."""
    if source.dialect is Dialect.SQLITE and not -(2**63) <= version < 2**63:
        raise no_version(name, version)


def no_version(name: str, version: int) -> MlflowError:
    """There is no such model version."""
    return does_not_exist(f"Model Version (name={name}, version={version}) not found")


def _model(row: Any) -> str:
    return str(row["model"])


def _version(row: Any) -> int:
    return int(row["version"])


def _name_is_taken(name: str, *, is_prompt: bool, wants_prompt: bool) -> MlflowError:
    """The words of mlflow/prompt/registry_utils.py: models and prompts share their names."""
    has, wants = ("Prompt" if each else "Registered Model" for each in (is_prompt, wants_prompt))
    message = f"{wants} (name={name}) already exists."
    if has != wants:
        message = (
            f"Tried to create a {wants.lower()} with name {name!r}, but the name is already taken by a {has.lower()}."
            " MLflow does not allow creating a model and a prompt with the same name."
        )
    return MlflowError(message, ErrorCode.RESOURCE_ALREADY_EXISTS)
