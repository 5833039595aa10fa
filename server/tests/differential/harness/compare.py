"""Compares two JSON values (or rows): exact in type and value, but for made ids and times."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from differential.harness.identity import IdPairs, StepTimes
from differential.harness.wire import BareNumber

# Stock reads these without ORDER BY, so their order means nothing, not even to stock.
_UNORDERED = re.compile(
    r"(^|\.)(run|runs\.\d+)\.data\.(metrics|params|tags)$"
    r"|(^|\.)(inputs\.(dataset_inputs|model_inputs)|dataset_inputs\.\d+\.tags|outputs\.model_outputs)$"
    r"|(^|\.)(experiment|experiments\.\d+|registered_model|registered_models\.\d+|model_version|model_versions\.\d+"
    r"|latest_versions\.\d+)\.(tags|aliases)$"
    r"|(^|\.)(registered_model|registered_models\.\d+)\.latest_versions$"
    r"|(^|\.)(model|models\.\d+)\.(info\.tags|data\.(params|metrics))$"
)
_TOKEN_FIELDS = ("next_page_token", "page_token")
# Stock prints Python sets, whose order changes from process to process.
_PRINTED_SET = re.compile(r"\{('[^{}':]*'(?:, '[^{}':]*')*)\}")
# The driver's words, the SQL and its parameters inside a message are SQLAlchemy's, not MLflow's.
_SQLALCHEMY_TAIL = re.compile(
    r"(?:\(raised as a result of Query-invoked autoflush[^)]*\)\s*)?\((?:sqlite3|psycopg2?(?:\.errors)?)\.\w+\).*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the two sides part."""

    place: str
    stock: object
    ours: object

    def __str__(self) -> str:
        return f"{self.place or '(whole)'}: stock {_short(self.stock)}, ours {_short(self.ours)}"


class _Missing:
    def __repr__(self) -> str:
        return "(absent)"


MISSING = _Missing()


@dataclass(slots=True)
class Comparison:
    """Compares within one script: ids and times keep their meaning from step to step.

    ``stock_places`` and ``ours_places`` are texts in which a server shows where it runs: its URL, its working folder.
    """

    ids: IdPairs
    stock_times: StepTimes
    ours_times: StepTimes
    stock_places: Sequence[str] = ()
    ours_places: Sequence[str] = ()

    def differences(
        self, stock: object, ours: object, place: str = "", *, unordered: Sequence[str] = ()
    ) -> list[Difference]:
        """All places where the values differ; empty when they are the same answer."""
        if isinstance(stock, dict) and isinstance(ours, dict):
            found: list[Difference] = []
            for key in [*stock, *(key for key in ours if key not in stock)]:
                inner = f"{place}.{key}" if place else str(key)
                left, right = stock.get(key, MISSING), ours.get(key, MISSING)
                if left is MISSING or right is MISSING:
                    found.append(Difference(inner, left, right))
                else:
                    found += self.differences(left, right, inner, unordered=unordered)
            return found
        if isinstance(stock, list) and isinstance(ours, list):
            if len(stock) != len(ours):
                return [Difference(f"{place} (length)", len(stock), len(ours)), Difference(place, stock, ours)]
            if _UNORDERED.search(place) or place in unordered:
                stock = sorted(stock, key=lambda item: self.sort_key(item, ours=False))
                ours = sorted(ours, key=lambda item: self.sort_key(item, ours=True))
            found = []
            for index, (left, right) in enumerate(zip(stock, ours, strict=True)):
                found += self.differences(left, right, f"{place}.{index}", unordered=unordered)
            return found
        return [] if self._same_leaf(stock, ours, place) else [Difference(place, stock, ours)]

    def sort_key(self, value: object, *, ours: bool) -> str:
        """A text by which unordered items are brought into the same order on both sides."""
        times = self.ours_times if ours else self.stock_times
        return self.ids.sort_text(_sort_text(_timeless(value, times)), ours=ours)

    def _same_leaf(self, stock: object, ours: object, place: str) -> bool:
        if type(stock) is not type(ours):
            return False
        if isinstance(stock, float) and isinstance(ours, float):
            return struct.pack("<d", stock) == struct.pack("<d", ours)
        if isinstance(stock, int) and isinstance(ours, int) and not isinstance(stock, bool):
            stock_step, ours_step = self.stock_times.step_of(stock), self.ours_times.step_of(ours)
            if stock_step is not None and ours_step is not None:
                return stock_step == ours_step
            return stock == ours or self.ids.same_text(str(stock), str(ours))
        if isinstance(stock, str) and isinstance(ours, str):
            if place.rsplit(".", 1)[-1] in _TOKEN_FIELDS:
                return self._same_token(stock, ours)
            stock, ours = _without(self.stock_places, stock), _without(self.ours_places, ours)
            stock, ours = _PRINTED_SET.sub(_sorted_set, stock), _PRINTED_SET.sub(_sorted_set, ours)
            if _SQLALCHEMY_TAIL.search(stock):
                prefix = _SQLALCHEMY_TAIL.sub("", stock)
                return self.ids.same_text(prefix, _SQLALCHEMY_TAIL.sub("", ours)[: len(prefix)])
            return self.ids.same_text(stock, ours)
        if isinstance(stock, BareNumber):
            return stock == ours
        return stock == ours

    def _same_token(self, stock: str, ours: str) -> bool:
        left, right = decode_token(stock), decode_token(ours)
        return not self.differences(left, right, "token")


def decode_token(token: str) -> object:
    """The JSON inside a page token, or the token itself where it has none."""
    try:
        value: object = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError):
        return token
    return value


def _without(places: Sequence[str], text: str) -> str:
    for number, place in enumerate(places):
        text = text.replace(place, f"<place {number}>")
    return text


def _sorted_set(match: re.Match[str]) -> str:
    return "{" + ", ".join(sorted(match.group(1).split(", "))) + "}"


def _sort_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _timeless(value: object, times: StepTimes) -> object:
    if isinstance(value, dict):
        return {str(key): _timeless(item, times) for key, item in value.items()}
    if isinstance(value, list | tuple):
        # Inner lists may be unordered as well.
        return sorted((_timeless(item, times) for item in value), key=_sort_text)
    if isinstance(value, int) and not isinstance(value, bool):
        step = times.step_of(value)
        return value if step is None else f"<made in step {step}>"
    return value


def _short(value: object, limit: int = 600) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
