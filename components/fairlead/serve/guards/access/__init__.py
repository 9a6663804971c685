"""Who may ask, and how often: API keys, tokens, rates, and the credential of calls that are no traffic.

========================  ============================================================================
``keys``                  API keys, known by their digests (``FAIRLEAD_KEYS_FILE``)
``tokens``                JSON Web Tokens, verified (``FAIRLEAD_JWT_…``); ``public_keys`` is with what
``rates``                 a token bucket for each caller (``FAIRLEAD_RATE_…``)
``watched``               files with credentials are read again when they change
========================  ============================================================================

Without any of these settings everybody may ask: then it is the network's task to say who reaches the port.
Probes are always open, since the kubelet has no key.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fairlead.serve.environment import Environment
from fairlead.serve.guards.access.keys import Keys, new_key, parse_keys
from fairlead.serve.guards.access.public_keys import KeyFile, KeySet
from fairlead.serve.guards.access.rates import Buckets, RateSettings
from fairlead.serve.guards.access.tokens import BadToken, KeysNotHere, LacksClaim, Tokens, TokenSettings
from fairlead.serve.guards.access.watched import Watched
from fairlead.serve.http import Header, Refused

__all__ = ["PROBES", "Access", "Internal", "access_of", "internal_of", "new_key"]

PROBES = frozenset({"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Paths that are open whatever is set."""
ANYONE = ""
"""The caller where callers are not told apart."""
INTERNAL_BYTES = 16
"""An internal credential has at least so many."""
_ROUTES = {b"shadow": "shadow", b"preview": "preview"}


class Counter(Protocol):
    """A counter of :mod:`fairlead.serve.metrics.registry`."""

    def add(self, n: int = 1) -> None:
        """Count *n* more."""


class Counters(Protocol):
    """What makes counters: :class:`fairlead.serve.metrics.registry.Metrics`."""

    def counter(self, name: str, says: str, **labels: str) -> Counter:
        """The counter of this name and these labels."""


class Access:
    """Lets a request in, or refuses it."""

    def __init__(
        self,
        *,
        keys: Watched[Keys] | None = None,
        tokens: Tokens | None = None,
        buckets: Buckets | None = None,
        open_paths: frozenset[str] = PROBES,
        count: Callable[[str], None] = lambda _reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Combine what is configured; *count* is told why a request was refused."""
        self._keys = keys
        self._tokens = tokens
        self._buckets = buckets
        self._open = open_paths
        self._count = count
        self._clock = clock

    def admit(self, headers: Mapping[bytes, bytes], path: str, route: str = "live") -> str:
        """Who is asking.

        Args:
            headers: Lower-case names to values; of gRPC, the metadata.
            path: What is asked for.
            route: What :meth:`Internal.route_of` said. Internal calls have shown a credential, and their
                number says nothing about a caller.

        Returns:
            The name of the API key, or the subject of the token; "" where callers are not told apart.

        Raises:
            Refused: 401 no or bad credential; 403 a token that lacks a claim; 429 too often; 503 the keys of
                tokens are not here yet.
        """
        if path in self._open or route != "live":
            return ANYONE
        caller = self._caller(headers) if self._keys or self._tokens else ANYONE
        if self._buckets is not None:
            wait = self._buckets.take(caller, self._clock())
            if wait:
                self._count("rate")
                raise _too_often(wait)
        return caller

    def close(self) -> None:
        """End what runs beside the requests."""
        if self._tokens is not None:
            self._tokens.close()

    def _caller(self, headers: Mapping[bytes, bytes]) -> str:
        credential = headers.get(b"x-api-key")
        if credential is None:
            credential = _bearer(headers.get(b"authorization"))
        elif self._keys is None:
            credential = None
        if credential is None:
            self._count("no credential")
            raise _unauthorized("a credential is required", b"Bearer")
        if self._keys is not None:
            caller = self._keys.value.caller(credential)
            if caller is not None:
                return caller
        if self._tokens is None or credential.count(b".") != 2:
            self._count("unknown key")
            raise _unauthorized("the credential is not known", _INVALID)
        return self._subject(self._tokens, credential)

    def _subject(self, tokens: Tokens, token: bytes) -> str:
        try:
            return tokens.subject(token)
        except LacksClaim as refusal:
            self._count("lacks claim")
            raise Refused(403, str(refusal), headers=((b"www-authenticate", _INSUFFICIENT),)) from None
        except BadToken as refusal:
            self._count("bad token")
            raise _unauthorized(str(refusal), _INVALID) from None
        except KeysNotHere:
            self._count("no issuer keys")
            raise Refused(
                503, "the issuer's keys are being fetched", headers=((b"retry-after", b"1"),)
            ) from None


_INVALID = b'Bearer error="invalid_token"'
_INSUFFICIENT = b'Bearer error="insufficient_scope"'
_REASONS = ("no credential", "unknown key", "bad token", "lacks claim", "no issuer keys", "rate")


def _bearer(value: bytes | None) -> bytes | None:
    """The credential of ``Authorization: Bearer …`` (RFC 6750)."""
    if value is None or value[:7].lower() != b"bearer ":
        return None
    return value[7:].strip() or None


def _unauthorized(error: str, challenge: bytes) -> Refused:
    headers: tuple[Header, ...] = ((b"www-authenticate", challenge),)
    return Refused(401, error, headers=headers)


def _too_often(wait: float) -> Refused:
    seconds = int(wait) + 1  # Retry-After has whole seconds
    return Refused(429, "too many requests of this caller", headers=((b"retry-after", b"%d" % seconds),))


def access_of(env: Environment, metrics: Counters) -> Access | None:
    """What the deployment set; None where everybody may ask as often as they like. Raises ProjectError."""
    broken = metrics.counter(
        "fairlead_credentials_broken_total", "Changed key files and key sets that could not be used."
    ).add
    file = env.file("FAIRLEAD_KEYS_FILE")
    keys = None if file is None else Watched(file, parse_keys, broken=broken)
    tokens = _tokens_of(env, broken)
    rate = RateSettings.from_environment(env)
    if keys is None and tokens is None and not rate.per_second:
        return None
    refused = {
        reason: metrics.counter("fairlead_access_refused_total", "Requests not let in.", reason=reason)
        for reason in _REASONS
    }
    return Access(
        keys=keys,
        tokens=tokens,
        buckets=Buckets(rate.per_second, rate.burst) if rate.per_second else None,
        open_paths=_open_paths(env),
        count=lambda reason: refused[reason].add(),
    )


def _tokens_of(env: Environment, broken: Callable[[], None]) -> Tokens | None:
    settings = TokenSettings.from_environment(env)
    if settings is None:
        return None
    keys: Any = (
        KeySet(settings.jwks_url, settings.algorithm, broken=broken)
        if settings.key_file is None
        else KeyFile(settings.key_file, settings.algorithm, broken)
    )
    return Tokens(settings, keys)


def _open_paths(env: Environment) -> frozenset[str]:
    """Probes; ``/metrics``, unless ``FAIRLEAD_METRICS_OPEN`` is false; and ``FAIRLEAD_OPEN_PATHS``."""
    metrics = {"/metrics"} if env.flag("FAIRLEAD_METRICS_OPEN", default=True) else set()
    return PROBES | metrics | frozenset(env.words("FAIRLEAD_OPEN_PATHS"))


# ------------------------------------------------------------------------------------------- internal calls


class Internal:
    """Tells copies and trials, which fairlead sends itself, from traffic."""

    def __init__(self, token: Watched[bytes], ignored: Callable[[], None] = lambda: None) -> None:
        """Believe whoever sends *token*; *ignored* counts those who send another."""
        self._token = token
        self._ignored = ignored

    def route_of(self, headers: Mapping[bytes, bytes]) -> str:
        """``shadow`` or ``preview`` for a call with the credential that says so, else ``live``.

        Whoever could claim these would be left out of every metric that decides about a release; so a claim
        without the credential is traffic like any other, and is counted.
        """
        shown = headers.get(b"x-fairlead-internal")
        if shown is None:
            return "live"
        if not hmac.compare_digest(hashlib.sha256(shown).digest(), self._token.value):
            self._ignored()
            return "live"
        return _ROUTES.get(headers.get(b"x-fairlead-route", b""), "live")


def internal_of(env: Environment, metrics: Counters) -> Internal | None:
    """By ``FAIRLEAD_INTERNAL_TOKEN_FILE``; None without it: then all calls are traffic. Raises ProjectError."""
    file = env.file("FAIRLEAD_INTERNAL_TOKEN_FILE")
    if file is None:
        return None
    broken = metrics.counter(
        "fairlead_credentials_broken_total", "Changed key files and key sets that could not be used."
    ).add
    ignored = metrics.counter(
        "fairlead_internal_ignored_total", "Calls that claimed to be internal without the credential."
    ).add
    return Internal(Watched(file, parse_internal, broken=broken), ignored)


def parse_internal(content: bytes) -> bytes:
    """The digest of the credential: digests have one length, which comparing in constant time needs.

    Raises:
        ValueError: It is too short to be secret.
    """
    token = content.strip()
    if len(token) < INTERNAL_BYTES:
        raise ValueError(f"holds {len(token)} bytes, an internal credential has at least {INTERNAL_BYTES}")
    return hashlib.sha256(token).digest()
