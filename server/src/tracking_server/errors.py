"""The one list of error codes, and the one body in which every error is answered.

Codes, statuses and classifications are those of mlflow/exceptions.py and mlflow/error_classification.py.
"""

from __future__ import annotations

import enum

import msgspec


class ErrorCode(enum.StrEnum):
    """The MLflow error codes that this server answers with."""

    BAD_REQUEST = "BAD_REQUEST"
    INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
    RESOURCE_ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"
    ENDPOINT_NOT_FOUND = "ENDPOINT_NOT_FOUND"
    NOT_FOUND = "NOT_FOUND"
    REQUEST_LIMIT_EXCEEDED = "REQUEST_LIMIT_EXCEEDED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_STATE = "INVALID_STATE"
    FEATURE_DISABLED = "FEATURE_DISABLED"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


HTTP_STATUS: dict[ErrorCode, int] = {
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.INVALID_PARAMETER_VALUE: 400,
    ErrorCode.RESOURCE_ALREADY_EXISTS: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.PERMISSION_DENIED: 403,
    ErrorCode.RESOURCE_DOES_NOT_EXIST: 404,
    ErrorCode.ENDPOINT_NOT_FOUND: 404,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.REQUEST_LIMIT_EXCEEDED: 429,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.INVALID_STATE: 500,
    ErrorCode.FEATURE_DISABLED: 500,
    ErrorCode.NOT_IMPLEMENTED: 501,
    ErrorCode.TEMPORARILY_UNAVAILABLE: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
}

_USER_ERROR = "KAM00"
_SYSTEM_ERROR = "XXM00"
_CLASSIFICATION: dict[ErrorCode, tuple[str, str]] = {
    ErrorCode.BAD_REQUEST: (_USER_ERROR, "INVALID_PARAMETER_VALUE"),
    ErrorCode.INVALID_PARAMETER_VALUE: (_USER_ERROR, "INVALID_PARAMETER_VALUE"),
    ErrorCode.RESOURCE_ALREADY_EXISTS: (_USER_ERROR, "RESOURCE_ALREADY_EXISTS"),
    ErrorCode.PERMISSION_DENIED: (_USER_ERROR, "PERMISSION_DENIED"),
    ErrorCode.RESOURCE_DOES_NOT_EXIST: (_USER_ERROR, "RESOURCE_NOT_FOUND"),
    ErrorCode.ENDPOINT_NOT_FOUND: (_USER_ERROR, "RESOURCE_NOT_FOUND"),
    ErrorCode.NOT_FOUND: (_USER_ERROR, "RESOURCE_NOT_FOUND"),
    ErrorCode.FEATURE_DISABLED: (_USER_ERROR, "FEATURE_DISABLED"),
    ErrorCode.INTERNAL_ERROR: (_SYSTEM_ERROR, "CLIENT_INTERNAL_ERROR"),
    ErrorCode.INVALID_STATE: (_SYSTEM_ERROR, "CLIENT_INTERNAL_ERROR"),
    ErrorCode.TEMPORARILY_UNAVAILABLE: (_SYSTEM_ERROR, "CLIENT_INTERNAL_ERROR"),
}


class MlflowError(Exception):
    """An error that the client is told about, in MLflow's own shape.

    ``status`` overrides the code's HTTP status where HTTP has a more exact one (413, 408, 431); ``classification``
    overrides the code's sqlstate and error class where stock has a more exact one.
    """

    def __init__(
        self,
        message: str,
        code: ErrorCode = ErrorCode.INTERNAL_ERROR,
        *,
        status: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        classification: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status if status is not None else HTTP_STATUS[code]
        self.headers = headers
        self.classification = classification or _CLASSIFICATION.get(code)

    def body(self) -> bytes:
        """The JSON object stock answers: error_code, message and, where it has one, a classification."""
        answer = {"error_code": self.code.value, "message": self.message}
        if self.classification is not None:
            answer["sqlstate"], answer["error_class"] = self.classification
        return msgspec.json.encode(answer)


class Unavailable(MlflowError):
    """A dependency is away for longer than a request may wait: 503 with Retry-After (seconds)."""

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(
            message,
            ErrorCode.TEMPORARILY_UNAVAILABLE,
            headers=((b"retry-after", str(retry_after).encode()),),
        )


class ForwardRequest(Exception):
    """Raised by a native handler, before it wrote anything, for what only stock MLflow covers.

    ``reason`` is a short fixed word: it becomes a metrics label.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def invalid_parameter(message: str) -> MlflowError:
    """INVALID_PARAMETER_VALUE, the commonest error, in one short word."""
    return MlflowError(message, ErrorCode.INVALID_PARAMETER_VALUE)


def does_not_exist(message: str) -> MlflowError:
    """RESOURCE_DOES_NOT_EXIST in one short word."""
    return MlflowError(message, ErrorCode.RESOURCE_DOES_NOT_EXIST)
