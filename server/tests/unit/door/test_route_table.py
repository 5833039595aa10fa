"""The route table and the installed MLflow name the same routes, and each row says who may use it."""

import re
from dataclasses import replace

import pytest

from support.stock_router import StockRouter
from tracking_server.door.describe import describe
from tracking_server.door.route import Action, Policy, Resource, Route, Stack
from tracking_server.door.table import TABLE, TableError, checked

Operation = tuple[str, str, str]


def operations_of_stock(stock: StockRouter) -> set[Operation]:
    """(framework, method, path in our notation); HEAD and OPTIONS, which Flask adds itself, left out."""
    return {
        (route["stack"], method, ours(route["path"]))
        for route in stock.routes
        for method in route["methods"]
        if method not in ("HEAD", "OPTIONS")
    }


def ours(path: str) -> str:
    return re.sub(r"<(?:(path):)?(\w+)>", lambda found: f"{{{found[2]}{':path' if found[1] else ''}}}", path)


def operations_of_table() -> set[Operation]:
    stacks = {Stack.FLASK: ("flask",), Stack.FASTAPI: ("fastapi",), Stack.BOTH: ("fastapi", "flask"), Stack.OWN: ()}
    return {
        (stack, method, path)
        for row in TABLE
        for stack in stacks[row.stack]
        for method in row.methods
        for path in row.paths
    }


def test_every_route_of_the_installed_mlflow_has_a_row(stock: StockRouter) -> None:
    missing = sorted(operations_of_stock(stock) - operations_of_table())
    assert not missing, "stock serves these, the table does not know them:\n" + "\n".join(map(str, missing))


def test_every_row_is_a_route_of_the_installed_mlflow(stock: StockRouter) -> None:
    invented = sorted(operations_of_table() - operations_of_stock(stock))
    assert not invented, "the table has these, stock does not serve them:\n" + "\n".join(map(str, invented))


def test_stock_serves_nothing_where_our_own_rows_stand(stock: StockRouter) -> None:
    assert [route["path"] for route in stock.routes if route["path"].startswith("/-")] == []


def test_flask_adds_head_and_options_everywhere(stock: StockRouter) -> None:
    for route in stock.routes:
        added = {"HEAD", "OPTIONS"}.intersection(route["methods"])
        expected = {"OPTIONS", "HEAD"} if "GET" in route["methods"] else {"OPTIONS"}
        assert added == (expected if route["stack"] == "flask" else set()), route


def test_labels_are_unique_and_in_one_form() -> None:
    labels = [row.label for row in TABLE]
    assert len(labels) == len(set(labels))
    assert [label for label in labels if not re.fullmatch(r"[a-z-]+\.[a-z0-9-]+", label)] == []


def test_only_health_and_version_are_open() -> None:
    open_to_all = {"server.health", "server.version", "own.ready"}
    assert {row.label for row in TABLE if row.policy.action is Action.OPEN} == open_to_all
    assert {row.label for row in TABLE if row.policy.resource is Resource.NONE} == open_to_all


def test_what_stock_does_not_have_stays_below_a_path_it_never_uses() -> None:
    for row in TABLE:
        assert all(path.startswith("/-/") == (row.stack is Stack.OWN) for path in row.paths)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.label)
def test_what_changes_something_never_has_a_policy_for_readers(row: Route) -> None:
    if set(row.methods) & {"PUT", "PATCH", "DELETE"}:
        assert row.policy.action not in (Action.OPEN, Action.READ, Action.SEARCH)
    verb = row.label.partition(".")[2]
    if verb.startswith(("create", "delete", "update", "set-", "log-", "upsert", "install", "invoke", "restore")):
        assert row.policy.action not in (Action.OPEN, Action.READ, Action.SEARCH)
    if verb.startswith(("get", "list", "search")) and "create" not in verb:
        assert row.policy.action in (Action.READ, Action.SEARCH, Action.ADMINISTER) or row.label.startswith("assistant")


def test_a_table_that_contradicts_itself_is_refused() -> None:
    row = Route("runs.get", ("GET",), ("/runs",), Policy(Resource.RUN, Action.READ))
    assert checked([row]) == (row,)
    wrong: dict[str, list[Route]] = {
        "labelled": [row, replace(row, paths=("/other",))],
        "stands in the rows": [row, replace(row, label="runs.other")],
        "needs a label": [replace(row, methods=())],
        "twice": [replace(row, paths=("/runs", "/runs"))],
        "HEAD": [replace(row, methods=("HEAD",))],
        "upper case": [replace(row, methods=("get",))],
        "below /-/": [replace(row, stack=Stack.OWN)],
        "our own rows, and": [replace(row, paths=("/-/runs",))],
        "need a handler": [replace(row, paths=("/-/runs",), stack=Stack.OWN)],
        "slash": [replace(row, paths=("runs",))],
        "no policy": [replace(row, policy=None)],  # type: ignore[arg-type] # what the check at import is for
        "async": [replace(row, handler=lambda request, services: None)],  # type: ignore[arg-type,return-value] # as above
    }
    for message, rows in wrong.items():
        with pytest.raises(TableError, match=message):
            checked(rows)


def test_description_has_one_entry_per_row() -> None:
    entries = describe(TABLE)
    assert [entry["label"] for entry in entries] == [row.label for row in TABLE]
    health = next(entry for entry in entries if entry["label"] == "server.health")
    assert (health["methods"], health["paths"], health["action"]) == ("GET", "/health", "open")
