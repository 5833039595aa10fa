"""The fixtures that every suite uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page

from support.browser import running_browser
from support.databases import Databases, Dialect
from support.postgres import PostgresServer
from support.processes import ServerProcess
from support.requirements import requires
from support.s3 import S3Server

DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgresql")

Server = TypeVar("Server", bound=ServerProcess)


class Starter:
    """Starts servers and stops them, last one first, when the fixture ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, server: Server) -> Server:
        """Starts ``server`` and returns it when it is ready."""
        self._stack.enter_context(server)
        return server


@pytest.fixture
def start() -> Iterator[Starter]:
    """Starts servers for one test: ``stock = start(StockServer(…))``."""
    with ExitStack() as stack:
        yield Starter(stack)


@pytest.fixture(scope="module")
def module_start() -> Iterator[Starter]:
    """Starts servers for all tests of a module."""
    with ExitStack() as stack:
        yield Starter(stack)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL, shared by the session: a test that stops or kills one makes its own."""
    server = PostgresServer(requires("postgresql"))
    try:
        yield server.start()
        server.stop()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Makes databases with MLflow's schema."""

    def postgres() -> PostgresServer:
        server = request.getfixturevalue("postgres_server")
        assert isinstance(server, PostgresServer)
        return server

    return Databases(tmp_path_factory.mktemp("databases"), postgres)


@pytest.fixture
def sqlite_database(databases: Databases) -> Iterator[str]:
    """The URI of a new SQLite database with MLflow's schema."""
    yield from _database(databases, "sqlite")


@pytest.fixture
def postgres_database(databases: Databases) -> Iterator[str]:
    """The URI of a new PostgreSQL database with MLflow's schema."""
    yield from _database(databases, "postgresql")


@pytest.fixture(params=DIALECTS)
def database(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URI of a new database with MLflow's schema: the test runs once on each kind."""
    dialect: Dialect = request.param
    yield from _database(databases, dialect)


def _database(databases: Databases, dialect: Dialect) -> Iterator[str]:
    uri = databases.create(dialect)
    yield uri
    databases.drop(uri)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server, shared by the session."""
    with S3Server(requires("s3"), tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A running browser. It lives for a module only, as no async test can run beside Playwright's loop."""
    with running_browser(requires("browser")) as running:
        yield running


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """An empty page in a profile of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    yield context.new_page()
    context.close()
