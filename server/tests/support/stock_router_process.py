"""Stock MLflow's own routers, asked over stdin and stdout: run in a process of its own, for importing mlflow is slow.

The first line out is the list of stock's routes; then each line in is a JSON list of questions, each line out the list
of their answers. A question is ["resolve", method, path] (which route would be taken) or ["answer", method, target]
(what the whole ASGI application answers to a request without a body).
"""

import asyncio
import inspect
import json
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

warnings.simplefilter("ignore")

from fastapi.routing import iter_route_contexts  # noqa: E402 - the warnings of these imports must not be printed
from mlflow.server import app as flask_app  # noqa: E402
from mlflow.server.fastapi_app import app as fastapi_app  # noqa: E402
from starlette.routing import Match, Mount, compile_path  # noqa: E402
from werkzeug.exceptions import MethodNotAllowed, NotFound  # noqa: E402
from werkzeug.routing import RequestRedirect  # noqa: E402


def full_name(function: Any) -> str:
    """Module and name of a function, seen through its decorators."""
    function = inspect.unwrap(function)
    return f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"


FASTAPI_CONTEXTS = [
    context for context in iter_route_contexts(fastapi_app.routes) if not isinstance(context.original_route, Mount)
]
FASTAPI_ROUTES = [
    (sorted(context.methods or ()), context.path or "", compile_path(context.path or "")[0])
    for context in FASTAPI_CONTEXTS
]
FASTAPI_FUNCTIONS = [full_name(getattr(context.original_route, "endpoint", None)) for context in FASTAPI_CONTEXTS]


def routes() -> list[dict[str, Any]]:
    """Every route, in stock's order: framework, methods as listed there, path in its own notation, and who answers."""
    fastapi = [
        {"stack": "fastapi", "methods": methods, "path": path, "function": name}
        for (methods, path, _), name in zip(FASTAPI_ROUTES, FASTAPI_FUNCTIONS, strict=True)
    ]
    flask = [
        {
            "stack": "flask",
            "methods": sorted(rule.methods or ()),
            "path": rule.rule,
            "function": full_name(flask_app.view_functions[rule.endpoint]),
        }
        for rule in flask_app.url_map.iter_rules()
    ]
    return fastapi + flask


def resolve(method: str, path: str) -> dict[str, Any]:
    """The route that stock takes for a percent-decoded path, with its parameters; or how it refuses."""
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    taken = next((route for route in fastapi_app.routes if route.matches(scope)[0] is Match.FULL), None)
    if taken is None:
        return {"kind": "not found"}
    if not isinstance(taken, Mount):
        template, regex = next(
            (t, regex) for methods, t, regex in FASTAPI_ROUTES if method in methods and regex.match(path)
        )
        found = regex.match(path)
        return {"kind": "match", "stack": "fastapi", "path": template, "params": found.groupdict() if found else None}
    adapter = flask_app.url_map.bind("localhost")
    try:
        rule, params = adapter.match(path, method, return_rule=True)
    except RequestRedirect as redirect:
        return {"kind": "redirect", "path": unquote(redirect.new_url.removeprefix("http://localhost"))}
    except MethodNotAllowed as refusal:
        return {"kind": "method not allowed", "allow": sorted(set(refusal.valid_methods or ()))}
    except NotFound:
        return {"kind": "not found"}
    if method == "OPTIONS":
        return {"kind": "options", "allow": sorted(set(adapter.allowed_methods(path)))}
    return {"kind": "match", "stack": "flask", "path": rule.rule, "params": dict(params)}


def answer(method: str, target: str) -> dict[str, Any]:
    """Status, Allow and Location of the whole application's answer."""
    raw_path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "state": {},
    }
    incoming = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(fastapi_app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return {
        "status": sent[0]["status"],
        "allow": sorted(headers["allow"].split(", ")) if "allow" in headers else None,
        "location": headers.get("location"),
    }


def main() -> None:
    """Answer until stdin ends."""
    asked = {"resolve": resolve, "answer": answer}
    print(json.dumps(routes()), flush=True)
    for line in sys.stdin:
        print(json.dumps([asked[what](method, path) for what, method, path in json.loads(line)]), flush=True)


if __name__ == "__main__":
    main()
