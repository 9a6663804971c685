"""JSON Web Tokens (RFC 7519): verified with public keys, by one algorithm that the deployment chose.

The algorithm comes from the settings and never from the token, and only algorithms with a public key can be
chosen: so neither ``none`` nor a signature made with the public key as a shared secret (RFC 8725, 2.1) can be
accepted. Issuer, audience, expiry and subject are always required.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Those with a public key."""

TOKEN_BYTES = 8192
"""A longer token is refused unread."""
REMEMBERED = 10_000
"""Verified tokens that are kept: some 2 MB."""
REMEMBERED_SECONDS = 300.0
"""How long a token is good without a look at its signature, and so how long one of a withdrawn key works."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """What a token must be."""

    key_file: Path | None
    """A public key (PEM); or else:"""
    jwks_url: str
    """where the issuer publishes its keys (RFC 7517)."""
    algorithm: str
    issuer: str
    audience: str
    claims: Mapping[str, str]
    """More that it must say; a list, or words separated by spaces, must contain the value."""
    leeway: float
    """Seconds by which clocks may differ."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self | None:
        """``FAIRLEAD_JWT_…``; None where neither a key nor a URL is given. Raises ProjectError."""
        key_file = env.file("FAIRLEAD_JWT_KEY_FILE")
        url = env.text("FAIRLEAD_JWT_JWKS_URL")
        if key_file is None and not url:
            return None
        if key_file is not None and url:
            raise ProjectError(
                "FAIRLEAD_JWT_KEY_FILE and FAIRLEAD_JWT_JWKS_URL are both set", hint="Keep one of them."
            )
        return cls(
            key_file,
            _checked_url(url),
            _checked_algorithm(env.text("FAIRLEAD_JWT_ALGORITHM")),
            _required(env, "FAIRLEAD_JWT_ISSUER", "the 'iss' that tokens must have"),
            _required(env, "FAIRLEAD_JWT_AUDIENCE", "the 'aud' that tokens must have"),
            dict(_claim(word) for word in env.words("FAIRLEAD_JWT_CLAIMS")),
            env.number("FAIRLEAD_JWT_LEEWAY_SECONDS", 30.0, low=0.0, high=300.0),
        )


def _required(env: Environment, name: str, what: str) -> str:
    if given := env.text(name):
        return given
    raise ProjectError(f"environment variable {name} is not set", hint=f"Set it to {what}.")


def _checked_algorithm(given: str) -> str:
    if given in ALGORITHMS:
        return given
    raise ProjectError(
        f"environment variable FAIRLEAD_JWT_ALGORITHM is {given!r}, must be one of {', '.join(ALGORITHMS)}",
        hint="Set it to the one algorithm the issuer signs with; shared secrets and unsigned tokens are not taken.",
    )


def _checked_url(given: str) -> str:
    if not given or re.match(r"https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/]", given):
        return given
    raise ProjectError(
        f"environment variable FAIRLEAD_JWT_JWKS_URL is {given!r}, must begin with https://",
        hint="Whoever can change the answer of an http:// address can sign tokens.",
    )


def _claim(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not (name and equals and value):
        raise ProjectError(f"environment variable FAIRLEAD_JWT_CLAIMS has {word!r}, must be 'claim=value, …'")
    return name, value


class BadToken(Exception):
    """The token is not taken. The message is for its sender; it says nothing an attacker could use."""


class LacksClaim(BadToken):
    """The token is good, and its bearer may not do this."""


class KeysNotHere(Exception):
    """The issuer's keys are not known yet."""


class PublicKeys(Protocol):
    """Where the key of a token comes from."""

    def key(self, kid: object) -> Any | None:
        """The key of this id (whatever the token says it is), None if there is none. Raises KeysNotHere."""

    def close(self) -> None:
        """End what brings the keys."""


class Tokens:
    """Verifies tokens, and remembers which were good."""

    def __init__(
        self, settings: TokenSettings, keys: PublicKeys, clock: Callable[[], float] = time.time
    ) -> None:
        """Check tokens against *settings*, with *keys*, by a *clock* of Unix time."""
        import jwt  # noqa: PLC0415 - only where tokens are used: it brings the cryptography library

        self._jwt = jwt
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._good: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def subject(self, token: bytes) -> str:
        """Whose token this is.

        Raises:
            BadToken: It is not valid. LacksClaim: it is, but does not have a claim that is required.
            KeysNotHere: It cannot be told yet.
        """
        digest = hashlib.sha256(token).digest()  # so that tokens are not kept in memory
        known = self._good.get(digest)
        if known is not None:
            subject, until = known
            if self._clock() < until:
                return subject
            del self._good[digest]
        claims = self._verified(token)
        self._remember(digest, claims)
        return str(claims["sub"])

    def close(self) -> None:
        """Fetch no more keys."""
        self._keys.close()

    def _verified(self, token: bytes) -> Mapping[str, Any]:
        if len(token) > TOKEN_BYTES:
            raise BadToken("the token is too long")
        settings, errors = self._settings, self._jwt.exceptions
        try:
            kid = self._jwt.get_unverified_header(token).get("kid")
            key = self._keys.key(kid)
            if key is None:
                raise BadToken("the token is signed with an unknown key")
            claims: Mapping[str, Any] = self._jwt.decode(
                token, key, algorithms=[settings.algorithm], issuer=settings.issuer, audience=settings.audience,
                leeway=settings.leeway, options={"require": ["exp", "iss", "aud", "sub"]},
            )  # fmt: skip
        except errors.ExpiredSignatureError:
            raise BadToken("the token has expired") from None
        except errors.ImmatureSignatureError:
            raise BadToken("the token is not valid yet") from None
        except (errors.PyJWTError, ValueError, TypeError, RecursionError, OverflowError):
            raise BadToken("the token is not valid") from None
        for name, value in settings.claims.items():
            if not _says(claims.get(name), value):
                raise LacksClaim(f"the token does not have {name}={value}")
        return claims

    def _remember(self, digest: bytes, claims: Mapping[str, Any]) -> None:
        expires = float(claims["exp"]) + self._settings.leeway
        self._good[digest] = str(claims["sub"]), min(expires, self._clock() + REMEMBERED_SECONDS)
        if len(self._good) > REMEMBERED:
            self._good.popitem(last=False)


def _says(claim: Any, value: str) -> bool:
    """Whether a claim has a value.

    >>> _says("predict explain", "predict"), _says(["admin"], "predict"), _says(True, "true")
    (True, False, True)
    """
    if isinstance(claim, str):
        return value in {claim, *claim.split()}
    if isinstance(claim, list):
        return value in claim
    return value == str(claim).lower()
