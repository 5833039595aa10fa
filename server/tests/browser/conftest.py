"""A server with something to show, and a page that is watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from browser.sample import Sample, log_sample
from browser.watch import Watch
from support.databases import Databases
from support.fixtures import Starter
from support.ours import TrackingServer
from support.processes import ServerProcess
from support.stock import StockServer

# The first page waits for stock MLflow, which takes its time on a busy machine.
PATIENCE = 90_000


@dataclass(frozen=True)
class Site:
    """The UI's address, and what is logged there."""

    url: str
    sample: Sample

    def at(self, path: str) -> str:
        """The address of a page of the UI."""
        return f"{self.url}/#/{path}"


# With stock the same pages show that what Watch lets pass is wrong there too.
@pytest.fixture(scope="module", params=["ours", pytest.param("stock", marks=pytest.mark.slow)])
def site(
    request: pytest.FixtureRequest,
    module_start: Starter,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    folder: Path = tmp_path_factory.mktemp(f"browser-{request.param}")
    artifacts = str(folder / "artifacts")
    server: ServerProcess
    if request.param == "ours":
        server = TrackingServer(folder, database_uri=databases.sqlite(), artifacts_destination=artifacts)
    else:
        server = StockServer(folder, backend_store_uri=databases.sqlite(), artifacts_destination=artifacts)
    module_start(server)
    return Site(server.url, log_sample(server.url))


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """A page in which nothing may go wrong."""
    watch = Watch(browser_page)
    browser_page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield browser_page
    assert watch.problems == []
