"""One row of the route table: what a path is called, who may use it, and who answers it."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tracking_server.services import Services
from tracking_server.web import Answer, Request

Handler = Callable[[Request, Services], Awaitable[Answer]]


class Resource(enum.StrEnum):
    """The kind of thing that a request acts on; access rules are written against these."""

    NONE = "none"
    SERVER = "server"
    UI = "ui"
    WORKSPACE = "workspace"
    EXPERIMENT = "experiment"
    RUN = "run"
    LOGGED_MODEL = "logged-model"
    ARTIFACT = "artifact"
    TRACE = "trace"
    DATASET = "dataset"
    REGISTERED_MODEL = "registered-model"
    MODEL_VERSION = "model-version"
    WEBHOOK = "webhook"
    ISSUE = "issue"
    LABEL_SCHEMA = "label-schema"
    SCORER = "scorer"
    PROMPT_OPTIMIZATION = "prompt-optimization"
    GATEWAY = "gateway"
    GATEWAY_SECRET = "gateway-secret"  # noqa: S105 - the name of a kind of resource, not a secret
    JOB = "job"
    ASSISTANT = "assistant"
    MCP_SERVER = "mcp-server"
    SKILL = "skill"
    REVIEW = "review"
    GRAPHQL = "graphql"


class Action(enum.StrEnum):
    """What a request does to its resource. OPEN is the only one that will never ask who is there.

    SEARCH answers a collection, so the answer must hold only what the caller may read. A tag, an alias or an
    assessment is part of what it hangs on: setting and deleting one are both UPDATE. Restoring is DELETE as well,
    because who may not delete may not undo a deletion. EXECUTE spends money or runs code; ADMINISTER is for
    what an administrator alone may do.
    """

    OPEN = "open"
    READ = "read"
    SEARCH = "search"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    EXECUTE = "execute"
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy class of a route; there is no default, so a route cannot be open by omission."""

    resource: Resource
    action: Action


class Stack(enum.Enum):
    """Which half of stock MLflow serves a route: the matcher follows that half's rules.

    BOTH: FastAPI has the row's methods, Flask has them again behind it and so adds HEAD, OPTIONS and 405.
    OWN: stock has no such route; it is ours, with Flask's rules.
    """

    FLASK = "flask"
    FASTAPI = "fastapi"
    BOTH = "both"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table.

    ``label`` names the route in metrics, logs and ``doctor`` and is unique. ``paths`` are templates without the
    static prefix; ``{name}`` matches one segment and ``{name:path}`` one or more. ``handler`` None means that stock
    MLflow answers. HEAD and OPTIONS are never listed: see ``door.match``. ``uses_database`` is False for native
    handlers that work whatever the database is. ``needs_jobs``: stock submits a background job for it, or sets up what
    its scheduler works at, and so must run them.
    """

    label: str
    methods: tuple[str, ...]
    paths: tuple[str, ...]
    policy: Policy
    handler: Handler | None = None
    stack: Stack = Stack.FLASK
    uses_database: bool = True
    needs_jobs: bool = False


def rest(path: str, version: str = "2.0") -> tuple[str, str]:
    """The two spellings under which stock serves an MLflow RPC: for clients and for the UI."""
    return (f"/api/{version}/mlflow/{path}", f"/ajax-api/{version}/mlflow/{path}")


def ajax(path: str, version: str = "2.0") -> tuple[str]:
    """The one spelling of an operation that stock serves for the UI alone."""
    return (f"/ajax-api/{version}/mlflow/{path}",)
