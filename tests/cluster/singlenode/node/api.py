"""A small client of the API server, for the node's own two controllers."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from ..places import API, State


class Api:
    """The API server, as its administrator. Every failure is an OSError."""

    def __init__(self, state: State) -> None:
        self._tls = ssl.create_default_context(cafile=f"{state.pki}/ca.crt")
        token = (state.pki / "token").read_text()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send one request and give the object that answers it."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(API + path, data=data, headers=self._headers, method=method)
        with urllib.request.urlopen(request, context=self._tls, timeout=5) as answer:
            return json.load(answer)

    def items(self, path: str) -> list[dict[str, Any]]:
        """The objects of a list."""
        found: list[dict[str, Any]] = self.call("GET", path)["items"]
        return found
