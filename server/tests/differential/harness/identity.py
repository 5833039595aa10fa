"""What two servers may answer differently: the ids that they made and the times at which they made them."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

# Run, dataset and input ids are 32 hexadecimal digits (a logged model's has "m-" before them); the harness lets
# experiment ids begin at 730000000 so that they cannot be mistaken for a number of the test's own. A run or model
# without a name is given one like "nimble-whale-17".
_MADE_ID = re.compile(
    r"(?<![0-9a-zA-Z])(?:m-[0-9a-f]{32}|[0-9a-f]{32}|73[0-9]{7}|[a-z]+-[a-z]+-(?:[0-9]{1,3}|1000))(?![0-9a-zA-Z])"
)


@dataclass(slots=True)
class IdPairs:
    """Which id of stock's corresponds to which of ours; each id has one partner only."""

    ours_of: dict[str, str] = field(default_factory=dict)
    stocks_of: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)

    def same(self, stock: str, ours: str) -> bool:
        """Whether the two ids can stand for the same thing; the first meeting settles their partnership."""
        partner = self.ours_of.get(stock)
        if partner is None and ours not in self.stocks_of:
            self.ours_of[stock] = ours
            self.stocks_of[ours] = stock
            symbol = f"<id {len(self.symbols) + 1}>"
            self.symbols[stock] = symbol
            return True
        return partner == ours

    def same_text(self, stock: str, ours: str) -> bool:
        """Whether two strings are equal but for partnered ids inside them."""
        if _MADE_ID.split(stock) != _MADE_ID.split(ours):
            return False
        pairs = zip(_MADE_ID.findall(stock), _MADE_ID.findall(ours), strict=True)
        return all(self.same(left, right) for left, right in pairs)

    def sort_text(self, text: str, *, ours: bool) -> str:
        """``text`` with ids replaced by what both servers have in common, to sort unordered things alike."""

        def common(match: re.Match[str]) -> str:
            identifier = self.stocks_of.get(match.group(), "") if ours else match.group()
            return self.symbols.get(identifier, "<id ?>")

        return _MADE_ID.sub(common, text)


@dataclass(slots=True)
class StepTimes:
    """When each step of a script ran on one server, in milliseconds; steps do not overlap."""

    _begins: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def record(self, began: int, ended: int) -> None:
        """Adds the next step."""
        self._begins.append(began)
        self._ends.append(ended)

    def step_of(self, milliseconds: int) -> int | None:
        """The step during which this moment fell, or None: then the number is not a time that the server made."""
        index = bisect.bisect_right(self._begins, milliseconds) - 1
        if index >= 0 and milliseconds <= self._ends[index]:
            return index
        return None
