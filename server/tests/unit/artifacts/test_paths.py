"""``safe_path`` against the function of MLflow that it stands for."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.uri import validate_path_is_safe

from tracking_server.artifacts.paths import check_directory, safe_path
from tracking_server.errors import ErrorCode, MlflowError

REFUSED = [
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/../../b",
    "%2e%2e/a",
    "%2E%2e%2Fa",
    "%252e%252e%252fa",
    "%25252e%25252e/a",
    "..%2fa",
    "a/..%00/../b",
    "/etc/passwd",
    "//host/share",
    "%2fetc/passwd",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "FILE:///etc/passwd",
    "file:../a",
    "C:\\Windows",
    "C:/Windows",
    "\\\\host\\share\\a",
    "a#b",
    "a%23b",
    "../a?b",
    "..;",
    "file:a%00b",
    "file:a",
    "//[",
    "%" + "25" * 40 + "2e",
    "a" * 5000,
    "\ud800",
]
KEPT = {
    "": "",
    ".": ".",
    "a": "a",
    "a/b.txt": "a/b.txt",
    "a/": "a/",
    "a//b": "a//b",
    "a b": "a b",
    "a%20b": "a b",
    "a%2520b": "a b",
    "a+b": "a+b",
    "100%": "100%",
    "a?b": "a?b",
    "a?": "a",
    "..a": "..a",
    "...": "...",
    "..;/a": "..;/a",
    "..\\a": "..\\a",
    "a\\..\\b": "a\\..\\b",
    "C:a": "c:a",
    "日本/é": "日本/é",
    "\uff0e\uff0e/a": "\uff0e\uff0e/a",
    "\u2025/a": "\u2025/a",
    "a%00b": "a%00b",
    "a\x01b": "a%01b",
    "a\x7f": "a%7f",
    "s3://bucket/a": "s3://bucket/a",
}
PIECES = [
    "..",
    ".",
    "/",
    "//",
    "\\",
    "%2e",
    "%2F",
    "%25",
    "%00",
    "#",
    "?",
    ";",
    ":",
    "C:",
    "file:",
    "a",
    "é",
    " ",
    "\x01",
]


def stock(path: str) -> str | None:
    """MLflow's answer, None where it refuses or fails."""
    try:
        return str(validate_path_is_safe(path))
    except (MlflowException, ValueError):
        return None


@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_could_lead_out_is_refused_with_the_words_of_stock(path: str) -> None:
    with pytest.raises(MlflowError) as refused:
        safe_path(path)
    assert refused.value.message == "Invalid path"
    assert refused.value.code is ErrorCode.INVALID_PARAMETER_VALUE


@pytest.mark.parametrize("path", KEPT)
def test_a_harmless_path_names_what_it_names_in_stock(path: str) -> None:
    assert safe_path(path) == KEPT[path] == stock(path)


@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=30)))
@example("file:a%00")
@example("file:#..")
def test_paths_are_those_of_stock(path: str) -> None:
    expected = stock(path)
    try:
        actual = safe_path(path)
    except MlflowError:
        # Stock hands on what then fails in the operating system: a null byte, or what UTF-8 cannot hold.
        assert expected is None or "\0" in expected or "\ud800" <= max(expected) <= "\udfff"
    else:
        assert actual == expected


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_what_is_kept_stays_below_a_directory(path: str) -> None:
    try:
        kept = safe_path(path)
    except MlflowError:
        return
    assert not kept.startswith("/")
    assert ".." not in kept.split("/")
    assert "\0" not in kept


@pytest.mark.parametrize("path", ["", "a", "a/b"])
def test_a_normal_directory_is_accepted(path: str) -> None:
    check_directory(path)


@pytest.mark.parametrize("path", [".", "a//b", "a/", "a/./b", "..a"])
def test_a_directory_with_a_second_spelling_is_refused(path: str) -> None:
    with pytest.raises(MlflowError, match="Invalid artifact path"):
        check_directory(path)
