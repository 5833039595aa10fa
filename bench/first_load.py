"""The UI's first load in a browser that has nothing of it yet: bytes over the wire, and when its contents show."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from playwright.sync_api import Browser, Route

from bench.contestants import Contestant, ServerSide
from bench.results import FirstLoad, Results
from support.browser import running_browser
from support.processes import LOCALHOST
from support.requirements import requires

# Each page with what shows that it is there: an experiment's name, a run's.
_PAGES = (
    ("experiments", "/#/experiments", "[data-testid=experiment-list-item-link]"),
    ("runs", "/#/experiments/1/runs", "a[href*='/runs/']"),
)
_PATIENCE_MS = 90_000
_QUIET_MS = 1500


def measure_first_loads(
    contestants: Sequence[Contestant], rounds: int, results: Results, say: Callable[[str], None]
) -> None:
    """Rounds in turns; each is a browser's context of its own, so that nothing is cached."""
    with running_browser(requires("browser")) as browser:
        for title, path, selector in _PAGES:
            found: dict[str, FirstLoad] = {}
            for number in range(rounds):
                for one in contestants:
                    if not isinstance(one, ServerSide) or number >= one.rounds:
                        continue
                    empty = FirstLoad(contestant=one.name, page=title, requests=0, transferred_bytes=0, seconds=[])
                    load = found.setdefault(one.name, empty)
                    load.requests, load.transferred_bytes, seconds = _load(browser, one.server.url, path, selector)
                    load.seconds.append(seconds)
            results.first_loads += found.values()
            for load in found.values():
                times = ", ".join(f"{seconds:.2f}" for seconds in load.seconds)
                size = load.transferred_bytes / 2**20
                say(f"first load of {title}: {load.contestant} {load.requests} requests, {size:.2f} MiB, {times} s")


def _load(browser: Browser, url: str, path: str, selector: str) -> tuple[int, int, float]:
    """Requests, bytes as they were sent with their headers, and seconds until ``selector`` is shown."""
    context = browser.new_context()
    try:
        page = context.new_page()
        # The UI shows pictures of mlflow.org.
        page.route(lambda target: not target.startswith(f"http://{LOCALHOST}:"), _refuse)
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        sizes: list[int] = []

        def finished(event: dict[str, Any]) -> None:
            sizes.append(int(event["encodedDataLength"]))

        network.on("Network.loadingFinished", finished)
        started = time.perf_counter()
        page.goto(url + path, wait_until="commit", timeout=_PATIENCE_MS)
        page.locator(selector).first.wait_for(timeout=_PATIENCE_MS)
        seconds = time.perf_counter() - started
        # What the page still asks for; not "networkidle", which never comes where a page polls.
        seen = -1
        while len(sizes) != seen:
            seen = len(sizes)
            page.wait_for_timeout(_QUIET_MS)
        return len(sizes), sum(sizes), seconds
    finally:
        context.close()


def _refuse(route: Route) -> None:
    route.abort()
