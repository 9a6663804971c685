"""API keys: who holds which, known by digests only.

The file has a line for each key, and may have several for one caller while a key is being replaced::

    # made with new_key()
    shop: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A key is 32 random bytes, so one plain SHA-256 is enough. Slow, salted hashes protect secrets that can be
guessed, such as passwords; of 2**256 equally likely keys none can, and a slow hash would be paid by every
request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

KEY_BYTES = 32

_LINE = re.compile(r"(?P<caller>[A-Za-z0-9][A-Za-z0-9._@-]{0,63})\s*:\s*sha256:(?P<digest>[0-9a-fA-F]{64})")


class Keys:
    """Callers by the digests of their keys."""

    def __init__(self, callers: Mapping[bytes, str]) -> None:
        self._callers = {digest: (digest, caller) for digest, caller in callers.items()}

    def caller(self, key: bytes) -> str | None:
        """Whose key this is; None for nobody's.

        What is looked up and compared is a digest. How long that takes can tell about the digest of the key
        that was sent, which its sender knows, and nothing about a key that hashes to another. The
        comparison is in constant time all the same.
        """
        digest = hashlib.sha256(key).digest()
        expected, caller = self._callers.get(digest, _NOBODY)
        return caller if hmac.compare_digest(expected, digest) else None


_NOBODY = (bytes(32), "")


def parse_keys(content: bytes) -> Keys:
    """A key file's content.

    Raises:
        ValueError: Naming the line that is wrong; or there is no key at all, which would lock out everyone
            and is more likely a file that was cut off.
    """
    callers: dict[bytes, str] = {}
    for number, raw in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            # The line is not shown: somebody may have written the key itself into it.
            raise ValueError(f"line {number}: must read 'caller: sha256:' and 64 hexadecimal digits")
        digest = bytes.fromhex(found["digest"])
        if digest in callers:
            raise ValueError(f"line {number}: {callers[digest]} has the same key")
        callers[digest] = found["caller"]
    if not callers:
        raise ValueError("there is no key; to turn everyone away, list one that nobody has")
    return Keys(callers)


def new_key(caller: str) -> tuple[str, str]:
    """A new key for *caller*, and the line for the key file.

    Raises:
        ValueError: The name is empty, too long, or has other characters than ``A-Z a-z 0-9 . _ @ -``.

    >>> key, line = new_key("shop")
    >>> parse_keys(line.encode()).caller(key.encode())
    'shop'
    """
    key = secrets.token_urlsafe(KEY_BYTES)
    line = f"{caller}: sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    if _LINE.fullmatch(line) is None:
        raise ValueError(f"{caller!r} is no name for a caller: use up to 64 letters, digits and . _ @ -")
    return key, line
