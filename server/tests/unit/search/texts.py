"""Strategies for filter texts: word salad, and comparisons that are more or less well formed."""

from __future__ import annotations

from hypothesis import strategies as st

WORDS = st.sampled_from([
    "params.p", "tags.`t x`", "metrics.m", "start_time", "run_id", "status", "dataset.name", "`run name`", "foo.bar",
    "unknown", "timestamp", "params", "name", "experiment_id", "creation_time", "version_number", "source_path", "=",
    "!=", "<", ">=", "LIKE", "like", "ILIKE", "IN", "NOT", "IS", "NULL", "AND", "and", "OR", "BETWEEN", "'x'", '"y"',
    "`z`", "1", "-1.5", "1e5", "('a','b')", "('a')", "(1)", "()", "(", ")", ",", ";", "--", "/*", "*/", ".", "'",
])  # fmt: skip
_IDENTIFIERS = st.sampled_from([
    "params.p", "tags.t", "metrics.m", "start_time", "run_id", "status", "dataset.name", "foo.x", "name", "tag.`a b`",
    "experiment_id", "creation_time", "version_number", "source_path", "attribute.name", "attributes.name", "model_id",
])  # fmt: skip
_COMPARATORS = st.sampled_from(
    ["=", "!=", "<", ">=", "LIKE", "ilike", "IN", "NOT IN", "in", "IS NULL", "IS NOT NULL", "is null", "IS"]
)
_VALUES = st.one_of(
    st.sampled_from(["", "'x'", '"x"', "5", "-1.5", "('a', 'b')", "('a')", "(1, 'a')", "x", "nan"]),
    st.text(max_size=5).map(repr),
    st.floats().map(str),
    st.integers().map(str),
)
COMPARISONS = st.lists(st.tuples(_IDENTIFIERS, _COMPARATORS, _VALUES).map(" ".join), min_size=1, max_size=3).map(
    " AND ".join
)
