"""What runs take in and give out: datasets and logged models (mlflow/store/tracking/sqlalchemy_store.py)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracking_server.store import runs
from tracking_server.store.database import Connection, Dialect
from tracking_server.store.queries import QueryFile
from tracking_server.store.run_log import write_batch

_QUERIES = QueryFile("run_inputs")

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run used, with the tags of this use."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str | None
    tags: Sequence[tuple[str, str]]


async def log_inputs(
    connection: Connection, run_id: str, datasets: Sequence[DatasetInput], model_ids: Sequence[str]
) -> None:
    """Links datasets and logged models to an active run.

    An experiment has one dataset of a name and digest, and the first to come decides on the rest of it. The tags of
    a dataset that the run has already are ignored. Raises IntegrityViolation for a tag given twice.
    """
    run = await runs.require_active(connection, run_id)
    firsts: dict[_Key, DatasetInput] = {}
    for dataset in datasets:
        firsts.setdefault((dataset.name, dataset.digest), dataset)
    if firsts:
        ids = await _dataset_ids(connection, run["experiment_id"], firsts)
        input_ids = {_new_id(): key for key in firsts}
        added = await connection.fetch(
            _QUERIES["insert_dataset_inputs"], run_id, list(input_ids), [ids[key] for key in input_ids.values()]
        )
        tags = [(row[0], *tag) for row in added for tag in firsts[input_ids[row[0]]].tags]
        await write_batch(connection, _QUERIES["insert_input_tags"], tags)
    models = [(_new_id(), run_id, model_id) for model_id in dict.fromkeys(model_ids)]
    await write_batch(connection, _QUERIES["upsert_model_inputs"], models)


async def log_outputs(connection: Connection, run_id: str, models: Sequence[tuple[str, int]]) -> None:
    """Links logged models (id, step) to the active run that made them. Raises IntegrityViolation for one known."""
    await runs.require_active(connection, run_id)
    rows = [(_new_id(), run_id, *model) for model in models]
    await write_batch(connection, _QUERIES["insert_model_outputs"], rows)


async def _dataset_ids(
    connection: Connection, experiment_id: int, wanted: Mapping[_Key, DatasetInput]
) -> Mapping[_Key, str]:
    """The ids of the wanted datasets, stored where they were not."""
    ids = await _known_ids(connection, experiment_id, sorted(wanted))
    # In one order everywhere, so that writers wait for each other instead of deadlocking.
    missing = sorted(wanted.keys() - ids.keys())
    if not missing:
        return ids
    created = {key: _new_id() for key in missing}
    rows = [
        (experiment_id, *key, created[key], new.source_type, new.source, new.schema, new.profile)
        for key, new in ((key, wanted[key]) for key in missing)
    ]
    if await write_batch(connection, _QUERIES["insert_datasets"], rows) == len(rows):
        return {**ids, **created}
    # Somebody else was faster with one of them, and has committed by now.
    return await _known_ids(connection, experiment_id, sorted(wanted))


async def _known_ids(connection: Connection, experiment_id: int, keys: Sequence[_Key]) -> dict[_Key, str]:
    query = _QUERIES["known_datasets"]
    if connection.dialect is Dialect.POSTGRESQL:
        names, digests = [name for name, _ in keys], [digest for _, digest in keys]
        rows = await connection.fetch(query, experiment_id, names, digests)
    else:
        rows = [row for key in keys for row in await connection.fetch(query, experiment_id, *key)]
    return {(row[0], row[1]): row[2] for row in rows}


def _new_id() -> str:
    return uuid.uuid4().hex
