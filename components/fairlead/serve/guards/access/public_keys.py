"""The public keys that tokens are verified with: one in a file, or a set that the issuer publishes."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from fairlead.serve.guards.access.tokens import KeysNotHere
from fairlead.serve.guards.access.watched import Watched

logger = logging.getLogger("fairlead.serve")

REFRESH_SECONDS = 300.0
"""The set is fetched this often, so that keys the issuer withdrew are forgotten."""
AGAIN_SECONDS = 60.0
"""It is fetched at most this often for key ids nobody knows: they are free to invent."""
FETCH_SECONDS = 5.0
SET_BYTES = 1024 * 1024
SMALLEST_RSA = 2048
"""Bits (RFC 7518, 3.3)."""


class KeyFile:
    """One key in PEM, for every token whatever key id it names."""

    def __init__(self, path: Path, algorithm: str, broken: Callable[[], None] = lambda: None) -> None:
        """Read the key. Raises ProjectError."""
        self._key = Watched(path, lambda content: parse_pem(content, algorithm), broken=broken)

    def key(self, _kid: object) -> Any:
        """The key, by now."""
        return self._key.value

    def close(self) -> None:
        """Nothing runs."""


def parse_pem(content: bytes, algorithm: str) -> Any:
    """A public key that fits the algorithm.

    Raises:
        ValueError: It is a private key, no key, or of another kind.
    """
    import jwt  # noqa: PLC0415

    if b"PRIVATE KEY" in content:
        raise ValueError("is a private key; the server needs the public one and must not have this")
    try:
        key = jwt.get_algorithm_by_name(algorithm).prepare_key(content)
    except (ValueError, TypeError, jwt.exceptions.PyJWTError) as cause:
        raise ValueError(f"is no public key for {algorithm}: {cause}") from None
    _check_size(key)
    return key


def parse_set(content: bytes, algorithm: str) -> dict[str | None, Any]:
    """The keys of a JSON Web Key Set that can verify *algorithm*, by their ids; the others are left out.

    Raises:
        ValueError: It is no key set, or has no such key.
    """
    import jwt  # noqa: PLC0415

    document = json.loads(content)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("is no key set: it has no list 'keys'")  # noqa: TRY004 - a file's content is a value
    keys: dict[str | None, Any] = {}
    for entry in listed:
        if isinstance(entry, dict) and _may_verify(entry, algorithm):
            try:
                key = jwt.PyJWK(entry, algorithm).key
                _check_size(key)
            except (ValueError, TypeError, KeyError, jwt.exceptions.PyJWTError):
                continue
            keys[entry.get("kid")] = key
    if not keys:
        raise ValueError(f"has no key for {algorithm}")
    return keys


def _may_verify(entry: Mapping[str, Any], algorithm: str) -> bool:
    return (
        entry.get("kty") != "oct"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
    )


def _check_size(key: Any) -> None:
    numbers: Any = getattr(key, "public_numbers", dict)()
    if hasattr(numbers, "n") and numbers.n.bit_length() < SMALLEST_RSA:
        raise ValueError(f"is an RSA key of {numbers.n.bit_length()} bits, must have {SMALLEST_RSA}")


class KeySet:
    """The keys at an address. A thread fetches them; whoever asks for one never waits."""

    def __init__(
        self,
        url: str,
        algorithm: str,
        *,
        broken: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to fetch the set at *url*; *broken* is called for each time that fails."""
        self._url = url
        self._algorithm = algorithm
        self._broken = broken
        self._clock = clock
        self._keys: dict[str | None, Any] = {}
        self._fetched_at: float | None = None
        self._asked = threading.Event()
        self._asked.set()
        self._closing = threading.Event()
        threading.Thread(target=self._fetch_on, name="fairlead-jwks", daemon=True).start()

    def key(self, kid: object) -> Any | None:
        """The key of this id; a token without an id is good for a set of one.

        Raises:
            KeysNotHere: The set could not be fetched so far, or is being fetched and may have the key.
        """
        keys = self._keys
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        found = keys.get(kid) if isinstance(kid, str | None) else None
        if found is None and (self._may_come() or not keys):
            raise KeysNotHere
        return found

    def _may_come(self) -> bool:
        """Whether the set is being fetched; has it fetched if the last time is long enough ago."""
        fetched_at = self._fetched_at
        if (
            not self._asked.is_set()
            and fetched_at is not None
            and self._clock() - fetched_at >= AGAIN_SECONDS
        ):
            self._asked.set()
        return self._asked.is_set()

    def close(self) -> None:
        """Let the thread end."""
        self._closing.set()
        self._asked.set()

    def _fetch_on(self) -> None:
        while not self._closing.is_set():
            self._fetch()
            self._fetched_at = self._clock()
            self._asked.clear()
            if self._closing.is_set():  # its signal may have been cleared just now
                return
            self._asked.wait(REFRESH_SECONDS if self._keys else AGAIN_SECONDS / 10)

    def _fetch(self) -> None:
        try:
            with _OPENER.open(self._url, timeout=FETCH_SECONDS) as response:
                content = response.read(SET_BYTES)  # a longer one is cut off, and so no JSON
            self._keys = parse_set(content, self._algorithm)
        except (OSError, ValueError, HTTPException, RecursionError) as cause:
            self._broken()
            said = "keys of tokens: %s cannot be used, those known before stay: %s"
            logger.error(said, self._url, cause)  # noqa: TRY400 - the traceback says nothing more


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was configured or not at all."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


_OPENER = urllib.request.build_opener(_NoRedirect)
