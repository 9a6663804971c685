"""What browsers are told: what a page may do, and which other sites may ask.

An API's clients ignore all of this. A browser may be made to misuse an answer: to take it for a script, to keep
it in its cache, or to show the page in a frame of another site.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.http import Answer, Header

HEADERS: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of every answer: it is what it says it is, and nobody on the way keeps it."""

_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_STYLE = re.compile(rb"<style\b[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)


def page_headers(page: bytes) -> tuple[Header, ...]:
    """Headers of an HTML page beside :data:`HEADERS`: it runs its own scripts, asks its own server, and no more.

    Scripts and styles inside the page are allowed by their digests, so that nothing slipped into it is run.
    """
    policy = b"; ".join([
        b"default-src 'none'",
        b"script-src 'self'" + _digests(_SCRIPT, page),
        b"style-src 'self'" + _digests(_STYLE, page),
        b"img-src 'self' data:",
        b"connect-src 'self'",
        b"base-uri 'none'",
        b"form-action 'self'",
        b"frame-ancestors 'none'",
    ])  # fmt: skip
    return (
        (b"content-security-policy", policy),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
    )


def _digests(element: re.Pattern[bytes], page: bytes) -> bytes:
    found = [content for content in element.findall(page) if content]
    return b"".join(b" 'sha256-%s'" % base64.b64encode(hashlib.sha256(one).digest()) for one in found)


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
_METHODS = b"GET, HEAD, POST"
_ALLOWED = (
    b"authorization, content-type, inference-header-content-length, traceparent, x-api-key, x-request-id"
)
_EXPOSED = b"inference-header-content-length, retry-after, x-request-id"
_PREFLIGHT_SECONDS = b"600"


@dataclass(frozen=True, slots=True)
class Cors:
    """Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol): pages of which sites may ask.

    Cookies are never allowed, so that ``*`` gives a page nothing that any other client would not get.
    """

    origins: frozenset[bytes]
    """Exactly as browsers send them; ``*`` for all."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """Read ``FAIRLEAD_CORS_ORIGINS``; None where it is not set: then browsers keep other sites out."""
        origins = env.words("FAIRLEAD_CORS_ORIGINS")
        for origin in origins:
            if origin != "*" and _ORIGIN.fullmatch(origin) is None:
                raise ProjectError(
                    f"environment variable FAIRLEAD_CORS_ORIGINS has {origin!r},"
                    " must be origins like https://shop.example:8443, or *",
                    hint="Write scheme, host in small letters, and the port if it is not the scheme's; no path.",
                )
        return cls(frozenset(origin.encode() for origin in origins)) if origins else None

    def headers(self, known: Mapping[bytes, bytes]) -> tuple[Header, ...]:
        """What an answer to a request with these headers says."""
        origin = self._allowed(known.get(b"origin"))
        if origin == b"*":
            return (b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)
        if origin is None:
            return (_VARY,)
        return (b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), _VARY

    def preflight(self, method: str, known: Mapping[bytes, bytes]) -> Answer | None:
        """The answer to a browser's question whether it may ask; None for any other request.

        It carries no credential, so it comes before access is looked at. A site that may not ask gets what any
        OPTIONS request gets.
        """
        if method != "OPTIONS" or b"access-control-request-method" not in known:
            return None
        if self._allowed(known.get(b"origin")) is None:
            return None
        return Answer(
            200,
            b"",
            content_type=b"text/plain",
            headers=(
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _ALLOWED),
                (b"access-control-max-age", _PREFLIGHT_SECONDS),
            ),
        )

    def _allowed(self, origin: bytes | None) -> bytes | None:
        """The origin to name in the answer."""
        if origin is None:
            return None
        if b"*" in self.origins:
            return b"*"
        return origin if origin in self.origins else None


_VARY: Header = (b"vary", b"origin")
