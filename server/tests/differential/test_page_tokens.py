"""Page tokens are interchangeable: a page begun on stock can be continued on ours, and the reverse."""

from __future__ import annotations

import pytest

from differential.calls import log_metric, new_experiment, new_logged_model, new_model, new_run, new_version
from differential.harness.compare import decode_token
from differential.harness.pair import Pair, Side
from differential.harness.script import Call, get, post

SETUP = [
    new_experiment(),
    *(new_run(f"r{number}", name=f"r{number}", start_time=number) for number in range(3)),
    *(log_metric("m", float(number), step=number, run="r0") for number in range(3)),
    *(new_logged_model(f"lm{number}", name=f"lm{number}") for number in range(3)),
    *(new_model(f"m{number}") for number in range(3)),
    *(new_version("m0") for _ in range(3)),
    new_experiment("f", save="second"),
]
SEARCHES = {
    "runs": post("runs/search", {"experiment_ids": ["{exp}"], "max_results": 1, "page_token": "{token}"}),
    "experiments": post("experiments/search", {"max_results": 1, "page_token": "{token}"}),
    "logged models": post(
        "logged-models/search", {"experiment_ids": ["{exp}"], "max_results": 1, "page_token": "{token}"}
    ),
    "registered models": get("registered-models/search", {"max_results": "1", "page_token": "{token}"}),
    "model versions": get("model-versions/search", {"max_results": "1", "page_token": "{token}"}),
    "metric history": get(
        "metrics/get-history", {"run_id": "{r0}", "metric_key": "m", "max_results": "1", "page_token": "{token}"}
    ),
}


def page(side: Side, search: Call, token: str) -> dict[str, object]:
    """The page of ``search`` that ``token`` begins."""
    side.names["token"] = token
    answer = side.connection.exchange(search.render(side.names))
    value = answer.value()
    assert answer.status == 200, answer.body
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("name", SEARCHES)
def test_a_page_begun_on_one_continues_on_the_other(pair: Pair, name: str) -> None:
    search = SEARCHES[name]
    pair.begin()
    assert pair.run(SETUP) == []
    first = {side.url: str(page(side, search, "")["next_page_token"]) for side in (pair.stock, pair.ours)}
    for own, foreign in ((pair.stock, pair.ours), (pair.ours, pair.stock)):
        token = first[foreign.url]
        # Only the logged models' token holds ids, and those are its server's own.
        token = token if name != "logged models" else first[own.url]
        assert page(own, search, token) == page(own, search, first[own.url])
    assert _fields(first[pair.stock.url]) == _fields(first[pair.ours.url])


def _fields(token: str) -> list[str]:
    value = decode_token(token)
    assert isinstance(value, dict)
    return sorted(value)
