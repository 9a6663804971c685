"""fairlead's application as an import path, for servers that take ASGI applications by name and tell of their lifespan."""

import os
from pathlib import Path

from fairlead.serve.assembly import Assembly
from fairlead.serve.loading import load

assembly = Assembly()


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        await assembly.app(scope, receive, send)
        return
    await receive()
    await assembly.attach(load(Path(os.environ["BENCHMARK_BUNDLE"])))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await assembly.end()
    await send({"type": "lifespan.shutdown.complete"})
