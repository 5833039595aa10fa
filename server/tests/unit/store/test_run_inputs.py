"""Many runs bring the same dataset at once, as the workers of one training do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing

import pytest

from tracking_server.store import run_inputs
from tracking_server.store.database import Database, Dialect
from tracking_server.store.run_inputs import DatasetInput
from unit.store.conftest import Place

RUNS = 16
ROUNDS = 5


@pytest.fixture
def mlflow_place(database: str) -> Place:
    """A database of each kind with one experiment and ``RUNS`` active runs in it."""
    sqlite = database.startswith("sqlite:///")
    place = (
        Place(Dialect.SQLITE, database.removeprefix("sqlite:///")) if sqlite else Place(Dialect.POSTGRESQL, database)
    )
    with closing(place.outside()) as connection:
        connection.execute("INSERT INTO experiments (experiment_id, name, workspace) VALUES (1, 'e', 'default')")
        for number in range(RUNS):
            connection.execute(
                f"INSERT INTO runs (run_uuid, lifecycle_stage, experiment_id) VALUES ('run{number}', 'active', 1)"
            )
    return place


@pytest.fixture
async def workers(mlflow_place: Place) -> AsyncIterator[list[Database]]:
    """The database as two worker processes have it, each with many connections."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            opened.append(await mlflow_place.open(connections=RUNS // 2))
            stack.push_async_callback(opened[-1].close)
        yield opened


def dataset(name: str, digest: str) -> DatasetInput:
    return DatasetInput(name, digest, "local", "{}", None, None, [("mlflow.data.context", "train")])


async def log(worker: Database, run_id: str, datasets: list[DatasetInput], model_ids: list[str]) -> None:
    await worker.write(lambda connection: run_inputs.log_inputs(connection, run_id, datasets, model_ids))


async def test_runs_share_the_row_of_a_new_dataset(workers: list[Database], mlflow_place: Place) -> None:
    for number in range(ROUNDS):
        datasets = [dataset("train", f"d{number}"), dataset("test", f"d{number}")]
        await asyncio.gather(
            *(
                log(workers[run % 2], f"run{run}", datasets if run % 4 < 2 else datasets[::-1], [])
                for run in range(RUNS)
            )
        )
    assert mlflow_place.rows("SELECT count(*), count(DISTINCT dataset_uuid) FROM datasets") == [
        (2 * ROUNDS, 2 * ROUNDS)
    ]
    linked = "SELECT count(*) FROM inputs JOIN datasets ON source_id = dataset_uuid JOIN input_tags USING (input_uuid)"
    assert mlflow_place.rows(linked) == [(2 * ROUNDS * RUNS,)]


async def test_a_run_has_a_dataset_and_a_model_once(workers: list[Database], mlflow_place: Place) -> None:
    await asyncio.gather(
        *(log(workers[turn % 2], "run0", [dataset("train", "d")], ["m-1", "m-2"]) for turn in range(RUNS))
    )
    linked = "SELECT source_type, destination_type, count(*) FROM inputs GROUP BY source_type, destination_type"
    assert sorted(mlflow_place.rows(linked)) == [("DATASET", "RUN", 1), ("RUN_INPUT", "MODEL_INPUT", 2)]
    assert mlflow_place.rows("SELECT count(*) FROM input_tags") == [(1,)]
