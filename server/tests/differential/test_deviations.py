"""The deliberate differences: stock still fails where the list says so, and ours answers as documented."""

from __future__ import annotations

import pytest

from differential.harness.deviations import DEVIATIONS, Deviation, deviation_for
from differential.harness.pair import Pair


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda item: item.name)
def test_deviation(pair: Pair, deviation: Deviation) -> None:
    if pair.dialect not in deviation.dialects:
        pytest.skip(f"documented for {', '.join(deviation.dialects)} only")
    pair.begin()
    assert pair.run(deviation.example[:-1]) == []
    names = dict(pair.stock.names)
    stock = pair.stock.connection.exchange(deviation.example[-1].render(names))
    assert deviation_for(pair.dialect, stock) == deviation
    assert [str(problem) for finding in pair.run(deviation.example[-1:]) for problem in finding.differences] == []
