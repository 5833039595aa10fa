"""SQL for a search in one dialect: typed placeholders, comparisons, paging.

What compares equal, and in which case, follows SearchUtils.get_sql_comparison_func in mlflow/utils/search_utils.py.
Values that stock's database refuses are refused here, before the statement is sent: with BAD_REQUEST where stock
answers BAD_REQUEST, with INVALID_PARAMETER_VALUE where it answers a 500.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tracking_server.errors import ErrorCode, MlflowError, invalid_parameter
from tracking_server.store.database import Dialect
from tracking_server.store.queries import Query

_BITS_OF_BIGINT = 64
_BITS_OF_INTEGER = 32
# SQLITE_MAX_LIKE_PATTERN_LENGTH, in bytes.
_LONGEST_SQLITE_PATTERN = 50_000
_MOST_JOINS = 12
_GLOB = str.maketrans({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"})

ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3
"""MLflow's view types (mlflow/entities/view_type.py)."""

SHORT_VALUE = 250
"""The length in characters of the longest tags that our index by value holds (indexes.py)."""

_STAGES = {ACTIVE_ONLY: "= 'active'", DELETED_ONLY: "= 'deleted'", ALL: "IN ('active', 'deleted')"}


class StatementBuilder:
    """Collects a statement's arguments and writes the SQL that refers to them.

    PostgreSQL infers a parameter's type from its surroundings, often wrongly, so each placeholder carries a cast;
    SQLite gets none, because there a cast would override the column's affinity.
    """

    def __init__(self, dialect: Dialect, conditions: int = 0) -> None:
        """``conditions`` is the number of comparisons that the statement will have."""
        self.postgresql = dialect is Dialect.POSTGRESQL
        self.arguments: list[object] = []
        # PostgreSQL takes each EXISTS for a join, whose orders it weighs: 40 take seconds, 80 a quarter of a minute.
        # OFFSET keeps it from that. Up to here its choice is worth its time.
        self._fence = " OFFSET 0" if self.postgresql and conditions > _MOST_JOINS else ""

    def text(self, value: str) -> str:
        """A placeholder for ``value``."""
        return self._placeholder(self._storable(value), "text")

    def real(self, value: float) -> str:
        """A placeholder for a double."""
        return self._placeholder(value, "double precision")

    def bigint(self, value: int) -> str:
        """A placeholder for a value of a BIGINT column. Raises where stock's database has no such number."""
        return self._placeholder(self._in_range(value, _BITS_OF_BIGINT), "bigint")

    def integer(self, value: int) -> str:
        """A placeholder for a value of an INTEGER column, which has 32 bits on PostgreSQL only."""
        return self._placeholder(self._in_range(value, self._integer_bits), "integer")

    def condition(self, column: str, comparator: str, value: str | tuple[str, ...]) -> str:
        """``column`` of type text, compared with a string or a list of strings; never true for NULL."""
        if comparator in ("IN", "NOT IN"):
            return self._membership(column, comparator, (value,) if isinstance(value, str) else value)
        if not isinstance(value, str):
            raise bad_request(f"A list of values can only be compared with IN or NOT IN, not with {comparator}")
        if comparator in ("LIKE", "ILIKE"):
            return self._like(column, comparator, value)
        return f"{column} {comparator} {self.text(value)}"

    def exists(self, rows: str) -> str:
        """There are ``rows`` (FROM … WHERE …)."""
        return f"EXISTS (SELECT 1 {rows}{self._fence})"

    def equal_short_value(self, column: str, comparator: str, value: str) -> str:
        """Follows the condition that ``column`` equals ``value``: what our index by value says of all its rows.

        Empty where that index would not have the row. PostgreSQL takes the index only for a statement that says so.
        """
        short = self.postgresql and comparator == "=" and len(value) <= SHORT_VALUE
        return f" AND length({column}) <= {SHORT_VALUE}" if short else ""

    def any_integer(self, column: str, values: Sequence[int], *, negated: bool = False) -> str:
        """``column`` of type INTEGER is one of ``values`` (or none of them)."""
        values = [self._in_range(value, self._integer_bits) for value in values]
        if len(values) == 1 and not negated:
            # Only of one value does an index give the rows in the order of its further columns.
            return f"{column} = {self._placeholder(values[0], 'integer')}"
        if self.postgresql:
            return self._any(column, self._placeholder(values, "integer[]"), negated=negated)
        # SQLite has no arrays: its driver binds a list as JSON.
        listed = f"(SELECT value FROM json_each({self._placeholder(values, '')}))"  # noqa: S608 (a placeholder of ours)
        return f"{column} NOT IN {listed}" if negated else f"{column} IN {listed}"

    def window(self, max_results: int, offset: int) -> str:
        """LIMIT and OFFSET of a page and the row behind it."""
        if self.postgresql and (max_results < -1 or offset < 0):
            raise bad_request("LIMIT and OFFSET must not be negative")
        # A literal, because PostgreSQL plans for a tenth of all rows where it does not know how many are wanted.
        limit = f"LIMIT {self._in_range(max_results + 1, _BITS_OF_BIGINT)}"
        return f"{limit} OFFSET {self.bigint(offset)}" if offset else limit

    def _membership(self, column: str, comparator: str, values: tuple[str, ...]) -> str:
        if self.postgresql:
            listed = [self._storable(value) for value in values]
            return self._any(column, self._placeholder(listed, "text[]"), negated=comparator == "NOT IN")
        return f"{column} {comparator} ({', '.join(self.text(value) for value in values)})"

    @staticmethod
    def _any(column: str, placeholder: str, *, negated: bool) -> str:
        return f"{column} <> ALL({placeholder})" if negated else f"{column} = ANY({placeholder})"

    def _like(self, column: str, comparator: str, pattern: str) -> str:
        if self.postgresql:
            if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
                # PostgreSQL complains only when a row gets as far as this character; so do we, but always.
                raise bad_request("LIKE pattern must not end with escape character")
            return f"{column} {comparator} {self.text(pattern)}"
        # Differs because SQLite's LIKE minds case only under a pragma of the connection; GLOB always does.
        placeholder = self.text(pattern.translate(_GLOB))
        if len(str(self.arguments[-1]).encode()) > _LONGEST_SQLITE_PATTERN:
            raise invalid_parameter(f"A pattern for {comparator} is too long")
        if comparator == "ILIKE":
            return f"lower({column}) GLOB lower({placeholder})"
        return f"{column} GLOB {placeholder}"

    def _placeholder(self, value: object, postgresql_type: str) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}" + (f"::{postgresql_type}" if self.postgresql else "")

    def _storable(self, value: str) -> str:
        if self.postgresql and "\0" in value:
            raise bad_request("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid_parameter("A string contains half of a surrogate pair, which is no character") from None
        return value

    @property
    def _integer_bits(self) -> int:
        return _BITS_OF_INTEGER if self.postgresql else _BITS_OF_BIGINT

    def _in_range(self, value: int, bits: int) -> int:
        limit = 1 << (bits - 1)
        if -limit <= value < limit:
            return value
        message = f"A number is out of range: it does not fit into {bits} bits"
        raise bad_request(message) if self.postgresql else invalid_parameter(message)


def statement(
    name: str, builder: StatementBuilder, parts: Iterable[str], *, planned_anew: bool = False
) -> tuple[Query, tuple[object, ...]]:
    """The finished query (its parts one per line) and its arguments."""
    text = "\n".join(part for part in parts if part)
    return Query.build(name, text, planned_anew=planned_anew), tuple(builder.arguments)


def where(conditions: Sequence[str]) -> str:
    """The WHERE clause in which all conditions hold."""
    return "WHERE " + "\n  AND ".join(conditions)


def in_view(column: str, view_type: int) -> str:
    """The lifecycle stages of a view type; an unknown view type sees nothing, as in stock."""
    return f"{column} {_STAGES[view_type]}" if view_type in _STAGES else "1 = 0"


def direction(ascending: bool) -> str:
    """ASC or DESC."""
    return "ASC" if ascending else "DESC"


def bad_request(message: str) -> MlflowError:
    """BAD_REQUEST: stock's code for what its database refused."""
    return MlflowError(message, ErrorCode.BAD_REQUEST)


def check_tracking_max_results(max_results: int) -> None:
    """Raises INVALID_PARAMETER_VALUE unless 1 to 50,000 rows are asked for, the tracking store's limits."""
    problem = "a positive integer" if max_results < 1 else "at most 50000" if max_results > 50_000 else None
    if problem:
        raise invalid_parameter(
            f"Invalid value {max_results} for parameter 'max_results' supplied. It must be {problem}"
        )
