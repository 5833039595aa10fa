"""What went wrong in a page: failed requests and errors in its console, but for what fails with stock MLflow too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response, Route

from support.processes import LOCALHOST

SAME_WITH_STOCK = {
    r"404 GET .*/ajax-api/2\.0/mlflow/users/current$": "asks who is logged in; only MLflow's basic-auth has that route",
    r"404 GET .*/mlflow/experiments/get-by-name\?": "the dialog asks whether the name of a new experiment is taken",
    r"console: null ResizeObserver loop completed": "a layout took Chromium two rounds",
}
"""Patterns of what is wrong with stock MLflow as well, each with its reason."""


@dataclass
class Watch:
    """Collects in ``problems`` what goes wrong in ``page``, and keeps the page from talking to other machines."""

    page: Page
    problems: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The UI shows pictures of mlflow.org; without them it looks the same on a machine without Internet.
        self.page.route(_is_elsewhere, _refuse)
        self.page.on("response", self._on_response)
        self.page.on("requestfailed", self._on_failure)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_page_error)

    def _note(self, problem: str) -> None:
        is_known = any(re.search(pattern, problem) for pattern in SAME_WITH_STOCK)
        (self.known if is_known else self.problems).append(problem)

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self._note(f"{response.status} {response.request.method} {response.url}")

    def _on_failure(self, request: Request) -> None:
        if not _is_elsewhere(request.url):
            self._note(f"{request.failure} {request.method} {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        # Chromium repeats here what the network log has.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text}")

    def _on_page_error(self, error: Error) -> None:
        self._note(f"page: {error}")


def _is_elsewhere(url: str) -> bool:
    return url.startswith("http") and not url.startswith(f"http://{LOCALHOST}:")


def _refuse(route: Route) -> None:
    route.abort()
