"""Where a secret must never be seen: arguments of processes, Pebble's plan and log, Juju's log, actions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.standin.juju import Juju


class Watch:
    """Collects the command lines of all processes of this machine while it runs, short-lived ones as far as seen."""

    def __init__(self) -> None:
        self.command_lines: set[str] = set()
        self._end = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._end.clear()
        thread = threading.Thread(target=self._look_again_and_again, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def _look_again_and_again(self) -> None:
        while not self._end.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.command_lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))


def everything_seen(juju: Juju) -> dict[str, str]:
    """What operators and their tools get to see of a model, by where."""
    seen = {"juju debug-log": "\n".join(juju.model.log)}
    for event in juju.dispatched:
        # Each hook tool is a process, and its arguments are seen by all.
        seen[f"hook tools of {event.unit} {event.event}"] = "\n".join(" ".join(call) for call in event.calls)
    for name, agent in juju.agents.items():
        for container in agent.containers:
            seen[f"log of {container} of {name}"] = agent.pod.log(container)
            if agent.pod.is_running:
                seen[f"plan of {container} of {name}"] = agent.pod.pebble(container).get_plan().to_yaml()
    for number, action in enumerate(juju.actions):
        seen[f"action {number} {action.name}"] = f"{action.results} {action.log} {action.failure} {action.output}"
    return seen


def assert_unseen(secrets: list[str], seen: dict[str, str]) -> None:
    """Every secret must be recognisable by its beginning, as characters in it may be seen quoted."""
    for where, text in seen.items():
        for secret in secrets:
            assert secret[:12] not in text, f"a secret stands in {where}"
