"""A native handler out of a message type, the rules for its JSON, and a function that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tracking_server.api.decoding import decode
from tracking_server.api.messages import Message
from tracking_server.api.rules import Rules
from tracking_server.services import Services
from tracking_server.web import Answer, Request, Response

M = TypeVar("M", bound=Message)
Handler = Callable[[Request, Services], Awaitable[Answer]]
PathParameters = Mapping[str, str]

EMPTY = b"{}"
MESSAGES: dict[Handler, type[Message]] = {}
"""The message type of every handler made here, for a test that holds them against MLflow's protos."""


def operation(message: type[M], rules: Rules) -> Callable[[Callable[[M, Services], Awaitable[bytes]]], Handler]:
    """Decorates ``async def (message, services) -> JSON bytes`` into a handler of the route table.

    ``rules`` are stock's schema of the same RPC in mlflow/server/handlers.py. What the message type itself checks
    on the fast path must be no laxer than they are: a required text field is ``RequiredText``.
    """

    def decorate(answer: Callable[[M, Services], Awaitable[bytes]]) -> Handler:
        async def handler(request: Request, services: Services) -> Answer:
            return Response(body=await answer(await decode(request, message, rules), services))

        return _registered(handler, answer, message)

    return decorate


def path_operation(
    message: type[M], rules: Rules
) -> Callable[[Callable[[M, PathParameters, Services], Awaitable[bytes]]], Handler]:
    """As ``operation``, for ``async def (message, path, services) -> JSON bytes``.

    ``path`` holds the route's ``{name}`` parts. Where the message repeats them stock checks its copies, then acts on
    the path's.
    """

    def decorate(answer: Callable[[M, PathParameters, Services], Awaitable[bytes]]) -> Handler:
        async def handler(request: Request, services: Services) -> Answer:
            decoded = await decode(request, message, rules)
            return Response(body=await answer(decoded, request.path_params, services))

        return _registered(handler, answer, message)

    return decorate


def _registered(handler: Handler, answer: Callable[..., object], message: type[Message]) -> Handler:
    handler.__name__ = answer.__name__
    handler.__doc__ = answer.__doc__
    MESSAGES[handler] = message
    return handler
