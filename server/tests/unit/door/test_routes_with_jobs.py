"""Each route for which the installed MLflow submits a background job, or schedules some, is marked in the table."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from support.stock_router import StockRouter
from tracking_server.door.table import TABLE
from tracking_server.job_need import SCHEDULED
from unit.door.test_route_table import ours

# Run by a task of the scheduler, which `job_need` knows by that task.
BY_SCHEDULE = {"mlflow.genai.scorers.job.run_online_scoring_scheduler": "online_scoring_scheduler"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_of_mlflow() -> Path:
    spec = importlib.util.find_spec("mlflow")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def callers_of(name: str) -> set[str]:
    """The full names of MLflow's functions that call ``name``, but for the machinery of jobs and the stores."""
    root = source_of_mlflow()
    found = set()
    for file in root.rglob("*.py"):
        module = file.relative_to(root.parent)
        text = file.read_text("utf-8")
        if name in text and not module.is_relative_to("mlflow/server/jobs") and "store" not in module.parts:
            prefix = ".".join(module.with_suffix("").parts)
            found |= {f"{prefix}.{function.name}" for function in functions_in(text) if calls(function, name)}
    return found


def functions_in(text: str) -> Iterator[_Function]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, _Function))


def calls(function: _Function, name: str) -> bool:
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any(
        (isinstance(each, ast.Name) and each.id == name) or (isinstance(each, ast.Attribute) and each.attr == name)
        for each in called
    )


def functions_behind_marked_rows(stock: StockRouter) -> set[str]:
    behind = {
        (method, ours(route["path"])): route["function"]
        for route in reversed(stock.routes)
        for method in route["methods"]
    }
    return {behind[method, path] for row in TABLE if row.needs_jobs for method in row.methods for path in row.paths}


def test_what_submits_jobs_or_schedules_some_is_behind_a_marked_row(stock: StockRouter) -> None:
    submitting = callers_of("submit_job")
    assert len(submitting) > 5
    assert submitting >= BY_SCHEDULE.keys()
    scheduling = {name for name in callers_of("upsert_online_scoring_config") if name.startswith("mlflow.server.")}
    assert len(scheduling) == 1
    assert functions_behind_marked_rows(stock) == (submitting - BY_SCHEDULE.keys()) | scheduling


def test_every_path_of_such_a_function_is_marked(stock: StockRouter) -> None:
    marked = {(method, path) for row in TABLE if row.needs_jobs for method in row.methods for path in row.paths}
    wanted = functions_behind_marked_rows(stock)
    theirs = {
        (method, ours(route["path"]))
        for route in stock.routes
        if route["function"] in wanted
        for method in route["methods"]
        if method not in ("HEAD", "OPTIONS")
    }
    assert theirs == marked


def test_every_periodic_task_is_known() -> None:
    """A new one must be looked for at the start: ``job_need`` says how for each."""
    text = source_of_mlflow().joinpath("server/jobs/utils.py").read_text("utf-8")
    periodic = {
        function.name
        for function in functions_in(text)
        if any(
            isinstance(each, ast.Call) and "periodic_task" in ast.dump(each.func) for each in function.decorator_list
        )
    }
    assert periodic == SCHEDULED.keys()
    assert set(BY_SCHEDULE.values()) <= periodic
