"""Registered models and their versions as the API answers them (mlflow/entities/model_registry, ``to_proto``)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tracking_server.store.database import Row


class ModelVersion(msgspec.Struct, omit_defaults=True):
    """A version; ``tags`` and ``aliases`` are the database's own JSON. What is None is left out, "" is not."""

    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str | None = None
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str | None = None
    status_message: str | None = None
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    run_link: str | None = None
    aliases: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class RegisteredModel(msgspec.Struct, omit_defaults=True):
    """A model; an empty description is left out, unlike a version's."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str | None = None
    latest_versions: list[ModelVersion] | msgspec.UnsetType = msgspec.UNSET
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    aliases: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def to_model_version(row: Row, *, with_aliases: bool = True) -> ModelVersion:
    """A row of the store as the API's object; lists of versions other than get-latest-versions lack the aliases."""
    return ModelVersion(
        name=row["name"],
        version=str(row["version"]),
        creation_timestamp=row["creation_time"],
        last_updated_timestamp=row["last_updated_time"],
        user_id=row["user_id"],
        current_stage=row["current_stage"],
        description=row["description"],
        source=row["source"],
        run_id=row["run_id"],
        status=row["status"],
        status_message=row["status_message"] or None,
        tags=_raw(row["tags"]),
        run_link=row["run_link"],
        aliases=_raw(row["aliases"]) if with_aliases else msgspec.UNSET,
    )


def to_registered_model(rows: Sequence[Row]) -> RegisteredModel:
    """The rows of one model, each with its latest version of a stage, as the API's object."""
    model = rows[0]
    versions = [to_model_version(row, with_aliases=False) for row in rows if row["version"] is not None]
    return RegisteredModel(
        name=model["model"],
        creation_timestamp=model["model_creation_time"],
        last_updated_timestamp=model["model_last_updated_time"] or None,
        description=model["model_description"] or None,
        latest_versions=versions or msgspec.UNSET,
        tags=_raw(model["model_tags"]),
        aliases=_raw(model["model_aliases"]),
    )


def _raw(json: str | None) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.Raw(json.encode()) if json else msgspec.UNSET
