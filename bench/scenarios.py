"""What is asked of the servers: Lua for wrk, and how many metric rows each good answer stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.seed import Seed

_JSON = '{["Content-Type"] = "application/json"}'


@dataclass(frozen=True, slots=True)
class Scenario:
    """``script`` makes requests; each good answer acknowledges ``rows`` new rows in the table metrics."""

    name: str
    script: str
    connections: Sequence[int]
    rows: int = 0


def scenarios(seed: Seed) -> tuple[Scenario, ...]:
    """All scenarios, for a database filled as ``seed`` says."""
    runs = "local runs = {" + ", ".join(f'"{run_id}"' for run_id in seed.run_ids) + "}\n"
    # Steps grow over all rounds, so that every metric is a new row.
    counter = "local counter = os.time() * 100000\n"
    return (
        Scenario("health", _get("/health"), (64,)),
        Scenario("get run", _get(f"/api/2.0/mlflow/runs/get?run_id={seed.run_ids[0]}"), (8,)),
        Scenario(
            "log-metric",
            runs
            + counter
            + f"""
request = function()
  counter = counter + 1
  local run = runs[counter % #runs + 1]
  local body = string.format(
    '{{"run_id": "%s", "key": "loss", "value": 0.5, "timestamp": 1700000000000, "step": %d}}', run, counter)
  return wrk.format("POST", "/api/2.0/mlflow/runs/log-metric", {_JSON}, body)
end
""",
            (8, 64),
            rows=1,
        ),
        Scenario(
            "log-batch of 100",
            runs
            + counter
            + f"""
request = function()
  local run = runs[counter % #runs + 1]
  local metrics = {{}}
  for i = 1, 100 do
    counter = counter + 1
    metrics[i] = string.format('{{"key": "m%d", "value": 0.5, "timestamp": 1700000000000, "step": %d}}', i, counter)
  end
  local body = '{{"run_id": "' .. run .. '", "metrics": [' .. table.concat(metrics, ",") .. ']}}'
  return wrk.format("POST", "/api/2.0/mlflow/runs/log-batch", {_JSON}, body)
end
""",
            (8,),
            rows=100,
        ),
        Scenario(
            "search 100 runs",
            _post("/api/2.0/mlflow/runs/search", '{"experiment_ids": ["1"], "max_results": 100}'),
            (8,),
        ),
        Scenario(
            "search by metric",
            _post(
                "/api/2.0/mlflow/runs/search",
                '{"experiment_ids": ["1"], "max_results": 100, "filter": "metrics.metric_1 > 0.5",'
                ' "order_by": ["metrics.metric_2 DESC"]}',
            ),
            (8,),
        ),
        Scenario(
            "metric history",
            _get(f"/api/2.0/mlflow/metrics/get-history?run_id={seed.run_ids[0]}&metric_key=history"),
            (8,),
        ),
        Scenario("search experiments", _post("/api/2.0/mlflow/experiments/search", '{"max_results": 100}'), (8,)),
    )


def _get(path: str) -> str:
    return f'request = function() return wrk.format("GET", "{path}") end\n'


def _post(path: str, body: str) -> str:
    return f'local body = [[{body}]]\nrequest = function() return wrk.format("POST", "{path}", {_JSON}, body) end\n'
