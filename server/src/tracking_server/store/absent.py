"""What stands in the place of a database that is not open: every use of it is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

from tracking_server.errors import Unavailable
from tracking_server.store.database import Dialect, Row, T, Work
from tracking_server.store.queries import Query


class AbsentDatabase:
    """A database that is not reachable yet, or has no native driver."""

    dialect = Dialect.SQLITE
    statements: Counter[str] = Counter()

    async def fetch(self, query: Query, *arguments: object) -> Sequence[Row]:
        self._refuse()

    async def fetch_one(self, query: Query, *arguments: object) -> Row | None:
        self._refuse()

    async def write_statement(self, query: Query, *arguments: object) -> Sequence[Row]:
        self._refuse()

    async def read(self, work: Work[T]) -> T:
        self._refuse()

    async def write(self, work: Work[T]) -> T:
        self._refuse()

    async def close(self) -> None:
        """Nothing is open."""

    def _refuse(self) -> NoReturn:
        raise Unavailable("The database is not reachable yet")
