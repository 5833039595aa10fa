"""SQL lives in ``sql/*.sql``, one file per family, bound at import so that a missing query fails at start.

A query opens with ``-- name: get_run`` and is written once for both databases with ``$1`` placeholders. Where the
dialects differ it stands twice, as ``-- name: get_run (postgresql)`` and ``-- name: get_run (sqlite)``, with a
line that says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

_HEADING = re.compile(r"^-- name: (\w+)(?: \((postgresql|sqlite)\))?[ \t]*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Query:
    """One statement under its name (which labels its metrics), in both dialects.

    PostgreSQL keeps the plan of a statement that it ran some times; ``planned_anew`` is for one whose best plan
    depends on its arguments.
    """

    name: str
    postgresql: str
    sqlite: str
    planned_anew: bool = False

    @classmethod
    def build(cls, name: str, sql: str, *, planned_anew: bool = False) -> Query:
        """A statement built at run time, with ``$1`` placeholders, for whichever database it was built for."""
        return cls(name, sql, _PLACEHOLDER.sub(r"?\1", sql), planned_anew)


def of_page(key: str, page: Query, rows: Query) -> Query:
    """``rows``, which reads "page", on the page that ``page`` selects: its columns ``key`` and their position.

    Has the name of ``page``, and is planned anew where that one is.
    """
    numbered = "WITH page AS (SELECT {}, row_number() OVER () AS position FROM ({}) AS found)\n{}"
    return Query(
        page.name,
        numbered.format(key, page.postgresql, rows.postgresql),
        numbered.format(key, page.sqlite, rows.sqlite),
        page.planned_anew,
    )


class QueryFile:
    """The queries of one family: ``QueryFile("runs")["get_run"]``."""

    def __init__(self, family: str) -> None:
        """Raises ValueError for a query that stands twice or lacks a dialect."""
        self.family = family
        text = resources.files("tracking_server.store").joinpath("sql", f"{family}.sql").read_text("utf-8")
        sections = _HEADING.split(text)[1:]
        found: dict[str, dict[str, str]] = {}
        for name, dialect, sql in zip(sections[::3], sections[1::3], sections[2::3], strict=True):
            for each in (dialect,) if dialect else ("postgresql", "sqlite"):
                if found.setdefault(name, {}).setdefault(each, sql.strip()) != sql.strip():
                    raise ValueError(f"{family}.sql defines {name} twice for {each}")
        self._queries: dict[str, Query] = {}
        for name, dialects in found.items():
            missing = {"postgresql", "sqlite"} - dialects.keys()
            if missing:
                raise ValueError(f"{family}.sql has no {name} for {missing.pop()}")
            self._queries[name] = Query(name, dialects["postgresql"], _PLACEHOLDER.sub(r"?\1", dialects["sqlite"]))

    def __getitem__(self, name: str) -> Query:
        return self._queries[name]
