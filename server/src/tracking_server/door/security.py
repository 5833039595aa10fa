"""Which hosts and which web pages may talk to us: stock's rules, applied once at the door.

Stock's are mlflow/server/security_utils.py and fastapi_security.py. Stock itself runs behind us with its own
checks off. Cross-origin answers come from Starlette's CORSMiddleware, the one stock uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from fnmatch import fnmatch
from functools import lru_cache
from urllib.parse import urlparse

from tracking_server.config import FrameOptions, ServerSettings
from tracking_server.door.exchange import Receive, Scope, Send
from tracking_server.web import HeaderList, Response

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE_CHANGING = frozenset(("POST", "PUT", "DELETE", "PATCH"))
LOCAL_ORIGIN_PATTERN = r"^http://localhost(:[0-9]+)?$|^http://127\.0\.0\.1(:[0-9]+)?$|^http://\[::1\](:[0-9]+)?$"
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]", "::1")
_UNCHECKED_PATHS = ("/health", "/version")
_API_PREFIXES = ("/api/", "/ajax-api/")
# Notebooks show traces in a frame of another origin (mlflow/tracing/constant.py, TRACE_RENDERER_ASSET_PATH).
_FRAMED_PATH = "/static-files/lib/notebook-trace-renderer"


class DoorSecurity:
    """Answers for requests that are refused, and the headers that every answer carries."""

    def __init__(self, settings: ServerSettings) -> None:
        self._origins = settings.cors_allowed_origins
        self._any_origin = "*" in self._origins
        any_host = "*" in settings.allowed_hosts
        patterns = settings.allowed_hosts
        # One client sends one Host header again and again; patterns are matched once for each.
        self._is_allowed_host: Callable[[str], bool] = lru_cache(1024)(
            lambda host: any_host or _matches_host(host, patterns)
        )
        nosniff = (b"x-content-type-options", b"nosniff")
        self._framed_headers: HeaderList = (nosniff,)
        self._headers: HeaderList = (nosniff,)
        if settings.x_frame_options is not FrameOptions.NONE:
            self._headers = (nosniff, (b"x-frame-options", str(settings.x_frame_options).encode()))

    def refuse_host(self, path: str, host: bytes | None) -> Response | None:
        """A 403 for a Host header that is not allowed, else None."""
        if path in _UNCHECKED_PATHS or (host is not None and self._is_allowed_host(host.decode("latin-1"))):
            return None
        return _forbidden(b"Invalid Host header - possible DNS rebinding attack detected")

    def refuse_origin(self, method: str, path: str, origin: bytes) -> Response | None:
        """A 403 for a write from a web page whose origin is not allowed, else None."""
        if self._any_origin or method not in STATE_CHANGING or not path.startswith(_API_PREFIXES):
            return None
        if self._is_allowed_origin(origin.decode("latin-1")):
            return None
        return _forbidden(b"Cross-origin request blocked")

    def cors(self, app: AsgiApp) -> AsgiApp:
        """``app`` with the answers that browsers ask for across origins."""
        # Loaded here because few servers ever see a cross-origin request, and all of them start.
        from starlette.middleware.cors import CORSMiddleware

        if self._any_origin:
            # Any origin together with credentials is what the CORS specification forbids.
            return CORSMiddleware(
                app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=["*"]
            )
        return CORSMiddleware(
            app,
            allow_origins=self._origins,
            allow_origin_regex=LOCAL_ORIGIN_PATTERN,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"],
            allow_headers=["*"],
            expose_headers=["*"],
        )

    def headers(self, path: str) -> HeaderList:
        """The security headers of an answer to ``path``."""
        return self._framed_headers if path.startswith(_FRAMED_PATH) else self._headers

    def _is_allowed_origin(self, origin: str) -> bool:
        try:
            if urlparse(origin).hostname in _LOCAL_HOSTS:
                return True
        except ValueError:
            return False
        return any(fnmatch(origin, allowed) if "*" in allowed else origin == allowed for allowed in self._origins)


def _matches_host(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a Host header, with or without its port, matches one of the patterns."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and host.rpartition(":")[0] else host
    return any(
        fnmatch(candidate, pattern) if "*" in pattern else candidate == pattern
        for pattern in patterns
        for candidate in (host, name)
    )


def _forbidden(text: bytes) -> Response:
    return Response(403, text, ((b"content-type", b"text/plain"),))
