"""Page tokens, byte for byte those of stock MLflow, so that a client may carry one from either server to the other.

Rules: SearchUtils.parse_start_offset_from_page_token and create_page_token in mlflow/utils/search_utils.py. The
metric history pages with the same token.
"""

from __future__ import annotations

import base64
import binascii
import json

from tracking_server.errors import invalid_parameter


def parse_offset(page_token: str | None) -> int:
    """The number of rows to skip; 0 without a token. Raises INVALID_PARAMETER_VALUE for a token that is none."""
    if not page_token:
        return 0
    try:
        decoded = base64.b64decode(page_token)
    except binascii.Error:
        raise invalid_parameter("Invalid page token, could not base64-decode") from None
    except ValueError:
        # Characters beyond ASCII, over which stock crashes.
        raise invalid_parameter("Invalid page token, could not base64-decode") from None
    try:
        parsed = json.loads(decoded)
    except (ValueError, RecursionError):
        raise invalid_parameter(f"Invalid page token, decoded value={decoded!r}") from None
    offset = parsed.get("offset") if isinstance(parsed, dict) else None
    if not offset:
        raise invalid_parameter(f"Invalid page token, parsed value={parsed}")
    return as_offset(offset)


def as_offset(offset: object) -> int:
    """The offset of a decoded token, which stock reads with ``int``: from text and fractions too."""
    if isinstance(offset, str | int | float):
        try:
            return int(offset)
        except (ValueError, OverflowError):
            pass
    raise invalid_parameter(f"Invalid page token, not stringable {offset}")


def create_page_token(offset: int) -> str:
    """The token of the page that starts at ``offset``."""
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()
