"""What happens to every request, in order: host, origin, route, native or forwarded, errors, headers, log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from tracking_server.access_log import AccessLog
from tracking_server.config import Config
from tracking_server.door.exchange import Exchange, Receive, Scope, Send
from tracking_server.door.match import Match, Matcher, Options, Redirect, Resolution, refusal
from tracking_server.door.route import Route
from tracking_server.door.security import AsgiApp, DoorSecurity
from tracking_server.errors import ErrorCode, ForwardRequest, MlflowError
from tracking_server.logs import request_id
from tracking_server.services import Services
from tracking_server.store.database import StoreError
from tracking_server.web import ANSWER_WHOLE, JSON_HEADERS, Answer, ClientDisconnected, HeaderList, Request, Response

_logger = logging.getLogger(__name__)
_UNMATCHED = "unmatched"


class Door:
    """The only way in: an ASGI application over the route table.

    ``forward_reason`` says of a route why its native handler must not run in this process (None: it may).
    """

    def __init__(
        self,
        config: Config,
        matcher: Matcher,
        services: Services,
        forward_reason: Callable[[Route], str | None],
        access_log: AccessLog,
    ) -> None:
        self._prefix = config.server.static_prefix
        self._limits = config.limits
        self._matcher = matcher
        self.services = services
        self._forwarder = services.forwarder
        self._metrics = services.metrics
        self._forward_reason = forward_reason
        self._access_log = access_log
        self._security = DoorSecurity(config.server)
        self._cors: AsgiApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request; refuses a WebSocket, as stock does."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        headers = _first_of_each(scope["headers"])
        path = self._without_prefix(scope["path"])
        refused = self._security.refuse_host(path, headers.get(b"host"))
        if refused is not None:
            await Exchange(scope, receive, send, self._limits).answer(refused, ())
        elif b"origin" not in headers:
            await self._serve(scope, receive, send, headers)
        else:
            if self._cors is None:
                self._cors = self._security.cors(self._serve)
            # Its headers are added to what goes through ``send``.
            scope.get("extensions", {}).pop(ANSWER_WHOLE, None)
            await self._cors(scope, receive, send)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, first_headers: dict[bytes, bytes] | None = None
    ) -> None:
        began = time.perf_counter()
        if first_headers is None:
            first_headers = _first_of_each(scope["headers"])
        path = self._without_prefix(scope["path"])
        exchange = Exchange(scope, receive, send, self._limits)
        request = exchange.request(path, first_headers)
        resolution = self._matcher.match(request.method, path)
        label = resolution.route.label if isinstance(resolution, Match) else _UNMATCHED
        status = 499
        token = request_id.set(request.request_id)
        try:
            answer = await self._answer(request, resolution, path)
            status = answer.status
            await exchange.answer(answer, self._own_headers(request, answer))
        except ClientDisconnected:
            _logger.debug("the client went away")
        except Exception:
            # Headers may be out already: then only closing the connection tells the client.
            status = 500
            _logger.exception("the answer broke off", extra={"route": label})
            raise
        finally:
            seconds = time.perf_counter() - began
            self._metrics.record(label, status, seconds)
            self._access_log.add(request.request_id, request.method, path, status, label, seconds)
            request_id.reset(token)

    async def _answer(self, request: Request, resolution: Resolution, path: str) -> Answer:
        try:
            origin = request.header(b"origin")
            refused = self._security.refuse_origin(request.method, path, origin) if origin else None
            if refused is not None:
                return refused
            match resolution:
                case Match(route, params):
                    request.path_params = params
                    return await self._handle(request, route)
                case Options(allow):
                    status = 204 if path.startswith(("/api/", "/ajax-api/")) else 200
                    content_type = (b"content-type", b"text/html; charset=utf-8")
                    return Response(status, b"", (content_type, (b"allow", ", ".join(allow).encode())))
                case Redirect():
                    location = resolution.location(self._prefix, request.query_string)
                    return Response(308, b"", ((b"location", location.encode("latin-1")),))
                case _:
                    raise refusal(resolution, request.method, path)
        except MlflowError as error:
            if error.status >= 500:
                _logger.warning("%s", error.message, extra={"error_code": str(error.code)})
            return _error(error)
        except StoreError as error:
            # As stock, whose every error of SQLAlchemy but an outage is BAD_REQUEST (mlflow/store/db/utils.py).
            return _error(MlflowError(str(error), ErrorCode.BAD_REQUEST))
        except ClientDisconnected:
            raise
        except Exception:
            _logger.exception("unexpected error")
            return _error(MlflowError("Internal server error; the server's log tells more.", ErrorCode.INTERNAL_ERROR))

    async def _handle(self, request: Request, route: Route) -> Answer:
        reason = self._forward_reason(route)
        if reason is None and (request.header(b"x-mlflow-workspace") or b"").strip():
            reason = "workspace"
        if reason is None and route.handler is not None:
            try:
                return await route.handler(request, self.services)
            except ForwardRequest as forward:
                reason = forward.reason
        self._metrics.record_forward(route.label, reason or "route")
        return await self._forwarder.forward(request, needs_jobs=route.needs_jobs)

    def _own_headers(self, request: Request, answer: Answer) -> HeaderList:
        own = self._security.headers(request.path)
        if answer.headers is not JSON_HEADERS:
            present = {name for name, _ in answer.headers}
            own = tuple(header for header in own if header[0] not in present)
        return (*own, (b"x-request-id", request.request_id.encode()))

    def _without_prefix(self, path: str) -> str:
        if not self._prefix:
            return path
        if path == self._prefix or path.startswith(self._prefix + "/"):
            return path[len(self._prefix) :]
        # Nothing lives outside the prefix, but for what no row can name either.
        return "/\n"


def _first_of_each(headers: HeaderList) -> dict[bytes, bytes]:
    return dict(reversed(headers))


def _error(error: MlflowError) -> Response:
    return Response(error.status, error.body(), ((b"content-type", b"application/json"), *error.headers))
