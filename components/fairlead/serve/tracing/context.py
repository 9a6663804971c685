"""The W3C trace context of a request."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fairlead.serve.http import Header

_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?"
)
"""Version, trace, span and flags; https://www.w3.org/TR/trace-context/#traceparent-header."""


def trace_id(headers: Iterable[Header]) -> str:
    """The trace a request belongs to, 32 hexadecimal digits; empty if to none.

    >>> trace_id([(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")])
    '0af7651916cd43dd8448eb211c80319c'
    """
    found = traceparent(headers)
    return found[1].decode() if found is not None else ""


def traceparent(headers: Iterable[Header]) -> re.Match[bytes] | None:
    """The valid ``traceparent`` of a request: group 1 is the trace, group 2 the flags."""
    for name, value in headers:
        if name == b"traceparent":
            return _TRACEPARENT.fullmatch(value)
    return None
