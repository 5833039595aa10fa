"""Writing databags on difference only."""

from __future__ import annotations

from collections import UserDict

from hypothesis import given
from hypothesis import strategies as st

from relations.databag import decoded, encoded, write


class Counting(UserDict[str, str]):
    """A databag that counts the writes, and like Juju's has no empty values."""

    writes = 0

    def __setitem__(self, name: str, value: str) -> None:
        self.writes += 1
        self.data.pop(name, None)
        if value:
            self.data[name] = value


BAGS = st.dictionaries(st.sampled_from("abcd"), st.text("xy", max_size=2))


@given(before=BAGS, contents=BAGS)
def test_only_what_differs_is_written(before: dict[str, str], contents: dict[str, str]) -> None:
    databag = Counting(before)
    differing = [name for name, value in contents.items() if databag.get(name, "") != value]
    expected = {name: value for name, value in {**databag, **contents}.items() if value}
    databag.writes = 0
    assert write(databag, contents) is bool(differing)
    assert databag.writes == len(differing)
    assert databag.data == expected
    assert not write(databag, contents)
    assert databag.writes == len(differing)


@given(value=st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_json_is_read_back(value: object) -> None:
    assert decoded(encoded(value)) == value


def test_what_is_no_json_is_none() -> None:
    assert [decoded(text) for text in ("", "{", "[" * 100_000, "hunter2")] == [None] * 4
