"""A search ready to run: one statement for one page of ids, and what follows from the rows it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tracking_server.search.page_token import create_page_token
from tracking_server.store.queries import Query

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """``await connection.fetch(plan.query, *plan.arguments)`` selects the ids of one page, in order.

    The statement asks for one row more than the page holds: that row tells that there is another page.
    """

    query: Query
    arguments: tuple[object, ...]
    max_results: int
    offset: int

    def page(self, rows: Sequence[T]) -> tuple[Sequence[T], str | None]:
        """The page's rows without the surplus one, and the next page's token, None on the last page."""
        return rows[: self.max_results], self.next_page_token(len(rows))

    def next_page_token(self, row_count: int) -> str | None:
        """The next page's token for a statement that returned ``row_count`` rows, None on the last page."""
        return create_page_token(self.offset + self.max_results) if row_count == self.max_results + 1 else None
