"""Artifacts with MLflow's client."""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import psutil
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from support.processes import ServerProcess

MEBIBYTE = 1024 * 1024


def test_artifacts_are_logged_listed_and_loaded(experiment_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "a b+c%.txt").write_text("ä\n")
    (folder / "deep" / "deeper" / "empty").touch()
    data = os.urandom(3 * MEBIBYTE)
    (tmp_path / "data.bin").write_bytes(data)
    figure = Figure()
    figure.subplots().plot([1, 3, 2])
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(tmp_path / "data.bin"))
        mlflow.log_artifacts(str(folder), "folder")
        mlflow.log_dict({"a": [1, None, "ü"]}, "config/model.json")
        mlflow.log_text("first\n", "notes/read me.md")
        mlflow.log_figure(figure, "plot.png")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "black.png")
        mlflow.log_table({"question": ["?", "!"], "answer": [1, 2]}, "table.json")
    client = MlflowClient()
    run_id = run.info.run_id

    def listed(path: str | None = None) -> dict[str, int | None]:
        return {each.path: each.file_size for each in client.list_artifacts(run_id, path)}

    root = listed()
    assert {path for path, size in root.items() if size is None} == {"folder", "config", "notes"}
    assert root["data.bin"] == len(data)
    assert listed("folder") == {"folder/a b+c%.txt": 3, "folder/deep": None}
    # MLflow leaves a size of 0 out of its answer.
    assert listed("folder/deep/deeper") == {"folder/deep/deeper/empty": None}
    assert listed("nothing") == {}

    fetched = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(tmp_path / "down")))
    assert (fetched / "data.bin").read_bytes() == data
    assert (fetched / "folder" / "a b+c%.txt").read_text() == "ä\n"
    assert (fetched / "folder" / "deep" / "deeper" / "empty").stat().st_size == 0
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config/model.json") == {"a": [1, None, "ü"]}
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/read me.md") == "first\n"
    assert mlflow.artifacts.load_image(f"runs:/{run_id}/plot.png").format == "PNG"
    assert list(mlflow.load_table("table.json", run_ids=[run_id])["answer"]) == [1, 2]
    with pytest.raises(MlflowException, match="Failed to download artifacts"):
        mlflow.artifacts.load_text(f"runs:/{run_id}/nothing")

    client.log_text(run_id, "second\n", "notes/read me.md")
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/read me.md") == "second\n"


@pytest.mark.slow
def test_a_gibibyte_passes_through_the_client_in_flat_memory(
    server: ServerProcess, experiment_id: str, tmp_path: Path
) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(MEBIBYTE))
    with mlflow.start_run() as run:
        mlflow.log_text("warm", "warm.txt")
    before = memory(server)
    client = MlflowClient()
    peak = 0
    (tmp_path / "down").mkdir()
    with ThreadPoolExecutor(1) as pool:
        for work in (
            lambda: client.log_artifact(run.info.run_id, str(big)),
            lambda: client.download_artifacts(run.info.run_id, "big.bin", str(tmp_path / "down")),
        ):
            running = pool.submit(work)
            while not running.done():
                peak = max(peak, memory(server))
                time.sleep(0.1)
            running.result()
    assert digest(tmp_path / "down" / "big.bin") == digest(big)
    assert peak - before < 100 * MEBIBYTE


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def memory(server: ServerProcess) -> int:
    """Bytes that the server's processes take, shared ones split among them; without stock MLflow's."""
    total = 0
    for pid in server.pids():
        process = psutil.Process(pid)
        if not any("mlflow.server" in word for word in process.cmdline()):
            total += process.memory_full_info().pss
    return total
