"""One HTTP request to a served model, with nothing around it: no retry, no redirect, no proxy."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

LARGEST = 1 << 20
"""Bytes of an answer that are read."""


def ask(url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """POST *body* as JSON, or GET if it is None; gives status and body.

    Raises:
        OSError: There is no answer within *seconds*, or none that is HTTP.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    try:
        connection.request("GET" if body is None else "POST", parts.path or "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(LARGEST)
    except http.client.HTTPException as cause:
        raise OSError(f"{type(cause).__name__}: {cause}") from cause
    finally:
        connection.close()
