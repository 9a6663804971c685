"""A tiny HTTP server for probes and metrics of a process that serves nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fairlead.errors import ServiceError

Page = Callable[[], tuple[int, str]]
"""Gives status and text."""


def serve_pages(host: str, port: int, pages: Mapping[str, Page]) -> ThreadingHTTPServer:
    """Answer GET requests for *pages* in a thread of its own; ``shutdown()`` ends it.

    Raises:
        ServiceError: The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            status, text = page() if page else (404, "not found\n")
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a probe every few seconds is no news."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as cause:
        raise ServiceError(
            f"port {port} on {host} cannot be used: {cause.strerror}", hint="Choose another one."
        ) from cause
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="pages", daemon=True).start()
    return server
