"""A native handler out of a message type, the rules for its JSON, and a function that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tracking_server.api.decoding import decode
from tracking_server.api.messages import Message
from tracking_server.api.rules import Rules
from tracking_server.services import Services
from tracking_server.web import Answer, Request, Response

M = TypeVar("M", bound=Message)
Handler = Callable[[Request, Services], Awaitable[Answer]]

EMPTY = b"{}"
MESSAGES: dict[Handler, type[Message]] = {}
"""The message type of every handler that ``operation`` made, for a test that holds them against MLflow's protos."""


def operation(message: type[M], rules: Rules) -> Callable[[Callable[[M, Services], Awaitable[bytes]]], Handler]:
    """Decorates ``async def (message, services) -> JSON bytes`` into a handler of the route table.

    ``rules`` are stock's schema of the same RPC in mlflow/server/handlers.py. What the message type itself checks
    on the fast path must be no laxer than they are: a required text field is ``RequiredText``.
    """

    def decorate(answer: Callable[[M, Services], Awaitable[bytes]]) -> Handler:
        async def handler(request: Request, services: Services) -> Answer:
            return Response(body=await answer(await decode(request, message, rules), services))

        handler.__name__ = answer.__name__
        handler.__doc__ = answer.__doc__
        MESSAGES[handler] = message
        return handler

    return decorate
