"""Two servers on two copies of one database: runs a script against both and reports every difference."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from differential.harness.compare import Comparison, Difference
from differential.harness.deviations import Deviation, deviation_for, is_deliberate
from differential.harness.identity import IdPairs, StepTimes
from differential.harness.report import Finding, render
from differential.harness.rows import Dump
from differential.harness.script import Call, Script
from differential.harness.wire import Answer, Exchanges


@dataclass(slots=True)
class Side:
    """One server: how to talk to it, how to look into its database, and what the script saved from its answers.

    ``folder`` is its working folder.
    """

    url: str
    connection: Exchanges
    dump: Dump
    folder: str = "/no folder/known"
    names: dict[str, str] = field(default_factory=dict)
    times: StepTimes = field(default_factory=StepTimes)

    def places(self) -> tuple[str, ...]:
        """Texts by which an answer shows where this server runs."""
        return self.url, self.folder, str(Path(self.folder).parent)

    def send(self, step: Call) -> Answer:
        """Sends a step, remembers what it saves and when it ran."""
        answer = self.connection.exchange(step.render(self.names))
        self.times.record(answer.began, answer.ended)
        for name, place in step.save.items():
            self.names[name] = _saved(answer, place, step)
        return answer


# Borrowed servers outlive a test run, and experiment ids must not come back.
_SCRIPT_NUMBERS = itertools.count(time.time_ns() // 1_000_000_000 % 5_000)


class Unequal(AssertionError):
    """The servers did not do the same; the message shows where."""


class Pair:
    """Stock and ours side by side.

    ``dialect`` is ``sqlite`` or ``postgresql``. ``ours_is_stock`` says that the second server is stock as well: then
    the deliberate differences must not appear.
    """

    def __init__(self, dialect: str, stock: Side, ours: Side, *, ours_is_stock: bool = False) -> None:
        self.dialect = dialect
        self.stock = stock
        self.ours = ours
        self._ours_is_stock = ours_is_stock
        self._comparison = self._new_comparison()

    def check(self, script: Script) -> None:
        """Runs the whole script from an empty database; raises Unequal with every difference in answers and rows."""
        self.begin()
        findings = self.run(script.steps)
        findings += self.row_findings()
        if findings:
            raise Unequal(render(script.name, self.dialect, findings))

    def begin(self) -> None:
        """Empties both databases and forgets all ids and times."""
        number = next(_SCRIPT_NUMBERS)
        for side in (self.stock, self.ours):
            side.dump.reset(number)
            side.names, side.times = {}, StepTimes()
        self._comparison = self._new_comparison()

    def _new_comparison(self) -> Comparison:
        stock, ours = self.stock, self.ours
        return Comparison(IdPairs(), stock.times, ours.times, stock.places(), ours.places())

    def run(self, steps: Iterable[Call]) -> list[Finding]:
        """Sends the steps to both servers, stock first; returns what differs, and goes on after a difference."""
        findings: list[Finding] = []
        for number, step in enumerate(steps, 1):
            finding = self.step(step, number)
            if finding is not None:
                findings.append(finding)
        return findings

    def step(self, step: Call, number: int = 1) -> Finding | None:
        """Sends one step to both servers and compares the answers."""
        stock = self.stock.send(step)
        _next_millisecond()
        ours = self.ours.send(step)
        _next_millisecond()
        problems = self._compare(step, stock, ours)
        if not problems:
            return None
        sent = step.render(self.stock.names)
        return Finding(f"step {number}: {sent.method} {sent.target}", sent, stock, ours, problems)

    def row_findings(self) -> list[Finding]:
        """Compares all rows of both databases."""
        stock, ours = self.stock.dump.rows(), self.ours.dump.rows()
        findings = []
        for table in [*stock, *(table for table in ours if table not in stock)]:
            left = sorted(stock.get(table, []), key=lambda row: self._comparison.sort_key(row, ours=False))
            right = sorted(ours.get(table, []), key=lambda row: self._comparison.sort_key(row, ours=True))
            problems = self._comparison.differences(left, right, table)
            if problems:
                findings.append(Finding(f"rows of {table}", None, None, None, problems))
        return findings

    def _compare(self, step: Call, stock: Answer, ours: Answer) -> list[Difference]:
        deviation = deviation_for(self.dialect, stock)
        if deviation is not None:
            return [] if self._ours_is_stock else _deviation_problems(deviation, ours)
        if stock.status >= 500 and not is_deliberate(stock):
            return [Difference("a failure of stock that no deviation documents", stock.status, ours.status)]
        problems = []
        if stock.status != ours.status:
            problems.append(Difference("status", stock.status, ours.status))
        if stock.content_type != ours.content_type:
            problems.append(Difference("content type", stock.content_type, ours.content_type))
        return problems + self._comparison.differences(stock.value(), ours.value(), unordered=step.unordered)

    def close(self) -> None:
        """Ends the connections; the servers belong to whoever started them."""
        for side in (self.stock, self.ours):
            side.connection.close()
            side.dump.close()


def _deviation_problems(deviation: Deviation, ours: Answer) -> list[Difference]:
    value = ours.value()
    code = value.get("error_code") if isinstance(value, dict) else None
    message = value.get("message") if isinstance(value, dict) else None
    problems = []
    if (ours.status, code) not in deviation.ours:
        documented = " or ".join(f"{status} {name}" for status, name in deviation.ours)
        problems.append(Difference(f"deviation {deviation.name!r}", f"documented: {documented}", (ours.status, code)))
    if not isinstance(message, str) or not message:
        problems.append(Difference("a message in MLflow's error shape", "(any text)", message))
    return problems


def _saved(answer: Answer, place: str, step: Call) -> str:
    value = answer.value()
    for part in place.split("."):
        try:
            if isinstance(value, dict):
                value = value[part]
            elif isinstance(value, list):
                value = value[int(part)]
            else:
                raise KeyError(part)
        except (KeyError, IndexError, ValueError):
            raise Unequal(
                f"{step.method} {step.path} was to save {place!r}, but its answer was {answer.status} {answer.body!r}"
            ) from None
    return str(value)


def _next_millisecond() -> None:
    """Waits until the clock shows a later millisecond, so that times made in two steps differ."""
    now = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 == now:
        time.sleep(0.0002)
