"""Rounds in turns, and what must hold of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.answers import same_json
from bench.contestants import Contestant, ServerSide
from bench.results import OURS, STOCK, Cell, Results
from bench.scenarios import Scenario


def measure(
    contestants: Sequence[Contestant],
    scenario: Scenario,
    connections: int,
    *,
    seconds: int,
    rounds: int,
    settle: Callable[[], None],
    results: Results,
) -> list[Cell]:
    """Rounds of all contestants in turns, one at a time; returns a cell for each part of the scenario.

    A bad round of stock's is recorded; one of ours goes into the failures of ``results`` too.
    """
    taking_part = [one for one in contestants if one.takes_part(scenario, connections)]
    cells = [
        Cell(scenario=scenario.cell_name(part), connections=part.connections or connections, kind=scenario.kind)
        for part in scenario.parts
    ]
    for contestant in taking_part:
        contestant.prepare(scenario, connections, seconds)
    for number in range(rounds):
        for contestant in taking_part:
            if number >= contestant.rounds:
                continue
            settle()
            found = contestant.run(scenario, connections, seconds)
            for cell, one in zip(cells, found, strict=True):
                cell.rounds.setdefault(contestant.name, []).append(one)
                if one.problem and contestant.name.startswith(OURS):
                    results.failures.append(f"{cell.scenario}, {cell.connections} connections: {one.problem}")
    return cells


def compare_answers(
    contestants: Sequence[Contestant], scenario: Scenario, results: Results, stock: str = STOCK, ours: str = OURS
) -> None:
    """Sends the scenario's first requests to the contestants of these names; what differs is a failure."""
    sides = {one.name: one for one in contestants if isinstance(one, ServerSide)}
    samples = {name: sides[name].sample(scenario) for name in (stock, ours) if name in sides}
    for name, answers in samples.items():
        for part, answer in zip(scenario.parts, answers, strict=True):
            if answer.status // 100 != 2:
                text = answer.body[:200].decode(errors="replace")
                results.failures.append(f"{scenario.cell_name(part)}: {name} answered {answer.status}: {text}")
    if scenario.compared and len(samples) == 2:
        for part, first, second in zip(scenario.parts, samples[stock], samples[ours], strict=True):
            if first.status // 100 == second.status // 100 == 2 and not same_json(first.body, second.body):
                results.failures.append(f"{scenario.cell_name(part)}: the answers of stock and ours differ")
