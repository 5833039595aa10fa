"""Artifacts in a storage that only MLflow's own artifact repositories reach, through a process that imports MLflow."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from tracking_server.maintenance.gc.places import Foreign

_LONGEST_ANSWER = 1024 * 1024


class Outcome(msgspec.Struct):
    """What became of one location: ``error`` is None where all is gone (or counted)."""

    objects: int = 0
    bytes: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One line for the process: count the files below ``path`` of the repository ``uri``, then delete them."""

    uri: str
    path: str | None
    delete: bool


class StockArtifacts:
    """Starts the process with the first order and keeps it for the following ones."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """``environment`` is added to ours: credentials, and MLFLOW_TRACKING_URI where artifacts are proxied."""
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def collect(self, place: Foreign, *, delete: bool) -> Outcome:
        """Counts the files of a location and deletes them if asked to."""
        async with self._turn:
            process = self._process or await self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(msgspec.json.encode(Order(place.uri, place.path, delete)) + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            except (OSError, ValueError):
                line = b""
            if not line:
                await self._end()
                return Outcome(error=f"MLflow's artifact repository for {place.uri} ended without an answer")
            return msgspec.json.decode(line, type=Outcome)

    async def close(self) -> None:
        """Ends the process, if there is one."""
        await self._end()

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tracking_server.maintenance.gc.stock_artifacts",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | self._environment | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            limit=_LONGEST_ANSWER,
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    """Answers orders on standard input, one JSON object a line, until its end."""
    answers = os.fdopen(os.dup(1), "wb")
    # What MLflow prints must not look like an answer.
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        answers.write(msgspec.json.encode(_obey(order)) + b"\n")
        answers.flush()


def _obey(order: Order) -> Outcome:
    from mlflow.exceptions import InvalidUrlException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    outcome = Outcome()
    try:
        repository = get_artifact_repository(order.uri)
        folders = [order.path]
        while folders:
            for found in repository.list_artifacts(folders.pop()):
                if found.is_dir:
                    folders.append(found.path)
                else:
                    outcome.objects += 1
                    outcome.bytes += found.file_size or 0
        if order.delete:
            repository.delete_artifacts(order.path)
    except InvalidUrlException:
        # Stock deletes the row all the same (mlflow/cli/__init__.py): nothing can be stored there.
        return Outcome()
    except Exception as error:  # whatever a plugin raises, its artifacts stay and the others' turn comes
        text = str(error).strip() or type(error).__name__
        return Outcome(error=f"{order.uri}: {text.splitlines()[0]}")
    return outcome


if __name__ == "__main__":
    main()
