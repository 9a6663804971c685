"""The client of shadow calls: one bounded POST at a time to one other server, over kept connections.

Imported only where a shadow is configured, because it brings aiohttp.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import aiohttp

from fairlead.serve.shadow.failures import Failed
from fairlead.serve.v2.binary import JSON_LENGTH

logger = logging.getLogger("fairlead.serve")


class ShadowClient:
    """Calls one server."""

    def __init__(self, url: str, *, seconds: float, connections: int, largest: int) -> None:
        """Open a pool; to be called in the event loop.

        Args:
            url: The server, without a path.
            seconds: For a whole call.
            connections: At a time.
            largest: Bytes of an answer.
        """
        self._url = url
        self._largest = largest
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # no compressed answer is asked for, and none is unpacked
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[bytes, bytes | None]:
        """The body of an answer with status 200, and how much of it is JSON if it says so (V2's binary tensors).

        Raises:
            Failed: For every other outcome.
        """
        try:
            # A redirect is an answer of the wrong status: the credential goes to no other address.
            async with self._session.post(
                self._url + path, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise Failed("status", response.status)
                stated = response.headers.get(JSON_LENGTH.decode())
                return await self._read(response.content), None if stated is None else stated.encode()
        except TimeoutError:
            raise Failed("timeout") from None
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            logger.debug("no answer from %s%s: %r", self._url, path, cause)
            raise Failed("error") from cause

    async def _read(self, content: aiohttp.StreamReader) -> bytes:
        """All of an answer, read only as far as the limit."""
        read = bytearray()
        while chunk := await content.readany():
            read += chunk
            if len(read) > self._largest:
                raise Failed("size")
        return bytes(read)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
