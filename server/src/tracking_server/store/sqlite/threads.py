"""The threads that work on SQLite: one that writes, in groups with one commit, and a few that read."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tracking_server.errors import Unavailable
from tracking_server.store.database import Work
from tracking_server.store.sqlite.connection import SqliteConnection, open_connection, run
from tracking_server.store.sqlite.translate import DRIVER_ERRORS, is_locked, translate

_MOST_IN_A_GROUP = 256
_STEPS_BETWEEN_CHECKS = 50_000
_BETWEEN_SWITCHES = 0.01


class Job:
    """Work on its way to a thread and its outcome on its way back to the event loop that awaits it."""

    __slots__ = ("_future", "_unclaimed", "abandoned", "loop", "snapshot", "work")

    def __init__(self, work: Work[Any], *, snapshot: bool) -> None:
        """``snapshot`` asks for a transaction around a read, which a single statement does not need."""
        self.work = work
        self.snapshot = snapshot
        self.abandoned = False
        self.loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Any] = self.loop.create_future()
        self._unclaimed = [True]

    def claim(self) -> bool:
        """Whether the caller decides what becomes of the job: the thread that runs it, or the loop that gives it up.

        True for the first caller only, on whichever thread: ``list.pop`` is atomic.
        """
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False

    async def outcome(self, wait_seconds: float) -> Any:
        """The work's result. Raises Unavailable when no thread begins with it in time."""
        timer = self.loop.call_later(wait_seconds, self._expire)
        try:
            return await self._future
        except asyncio.CancelledError:
            self.claim()
            self.abandoned = True
            raise
        finally:
            timer.cancel()

    def deliver(self, result: object, error: BaseException | None) -> None:
        """Hands the outcome over, on the event loop's thread."""
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)

    def _expire(self) -> None:
        if self.claim():
            self.deliver(None, Unavailable("The database is busy with other requests", retry_after=1))


Outcome = tuple[Job, object, BaseException | None]


class Worker(threading.Thread):
    """A thread with a connection of its own, fed by a queue; None in the queue ends it."""

    def __init__(self, name: str, path: Path, busy_seconds: float, jobs: queue.SimpleQueue[Job | None]) -> None:
        super().__init__(name=name, daemon=True)
        self.jobs = jobs
        self.statements: Counter[str] = Counter()
        self._connection = open_connection(path, busy_seconds)

    def run(self) -> None:
        while (job := self.jobs.get()) is not None:
            self._serve(job)
        self._connection.close()

    def _serve(self, job: Job) -> None:
        raise NotImplementedError

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class Reader(Worker):
    """Reads, each in a snapshot of its own; what is read too long, or for nobody any more, is interrupted."""

    def __init__(
        self,
        name: str,
        path: Path,
        busy_seconds: float,
        jobs: queue.SimpleQueue[Job | None],
        statement_seconds: float,
    ) -> None:
        super().__init__(name, path, busy_seconds, jobs)
        self._statement_seconds = statement_seconds
        self._job: Job | None = None
        self._stop_at = 0.0
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.set_progress_handler(self._should_stop, _STEPS_BETWEEN_CHECKS)

    def _should_stop(self) -> bool:
        job = self._job
        return job is not None and (job.abandoned or 0 < self._stop_at < time.monotonic())

    def _serve(self, job: Job) -> None:
        if not job.claim():
            return
        self._stop_at = time.monotonic() + self._statement_seconds if self._statement_seconds else 0.0
        self._job = job
        result: object = None
        error: BaseException | None = None
        try:
            if job.snapshot:
                self._begin()
            result = run(job.work, SqliteConnection(self._connection, self.statements))
        except BaseException as failure:  # the error, whatever it is, belongs to the request that waits for it
            error = failure
        self._job = None
        with contextlib.suppress(sqlite3.Error):
            self._roll_back()
        _deliver([(job, result, error)])

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN")
        except DRIVER_ERRORS as error:
            raise translate(error) from error


class Writer(Worker):
    """The one writer: everything that waits shares a transaction and its commit, each in a savepoint of its own."""

    def __init__(self, name: str, path: Path, busy_seconds: float, jobs: queue.SimpleQueue[Job | None]) -> None:
        super().__init__(name, path, busy_seconds, jobs)
        self._busy_seconds = busy_seconds
        self._journal_chosen = False

    def _serve(self, job: Job) -> None:
        group, last = self._group(job)
        if group:
            _deliver(self._commit(group))
        if last:
            self.jobs.put(None)

    def _group(self, job: Job) -> tuple[list[Job], bool]:
        """What waits behind ``job``, and whether the queue's end was met."""
        group = [job] if job.claim() else []
        while len(group) < _MOST_IN_A_GROUP:
            try:
                following = self.jobs.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            if following.claim():
                group.append(following)
        return group, False

    def _commit(self, group: list[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            self._choose_journal()
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                outcomes.append(self._run_in_savepoint(job))
                if not self._connection.in_transaction:
                    # SQLite itself rolled everything back (disk full, I/O error): nobody's work is stored.
                    return _all_failed(group, outcomes[-1][2])
            self._connection.execute("COMMIT")
        except DRIVER_ERRORS as error:
            with contextlib.suppress(sqlite3.Error):
                self._roll_back()
            return _all_failed(group, translate(error))
        return outcomes

    def _choose_journal(self) -> None:
        """Switches to write-ahead logging with the first write: a database that is refused before stays as it was."""
        deadline = time.monotonic() + self._busy_seconds
        while not self._journal_chosen:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                # Of two processes that switch at once SQLite refuses one without waiting, for they would wait forever.
                if not is_locked(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(_BETWEEN_SWITCHES)
            else:
                self._journal_chosen = True

    def _run_in_savepoint(self, job: Job) -> Outcome:
        self._connection.execute("SAVEPOINT work")
        connection = SqliteConnection(self._connection, self.statements)
        result: object = None
        error: BaseException | None = None
        try:
            result = run(job.work, connection)
            if connection.failed:
                error = RuntimeError("a store function swallowed an error, so its work could not be committed")
        except BaseException as failure:  # the error, whatever it is, belongs to the request that waits for it
            error = failure
        if self._connection.in_transaction:
            if error is not None:
                self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
        return job, result, error


def _all_failed(group: list[Job], error: BaseException | None) -> list[Outcome]:
    return [(job, None, error) for job in group]


def _deliver(outcomes: list[Outcome]) -> None:
    """Wakes each event loop once for all its outcomes."""
    loops: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        loops.setdefault(outcome[0].loop, []).append(outcome)
    for loop, its_outcomes in loops.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_deliver_on_loop, its_outcomes)


def _deliver_on_loop(outcomes: list[Outcome]) -> None:
    for job, result, error in outcomes:
        job.deliver(result, error)
