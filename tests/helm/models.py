"""Values the tests of the model chart begin with."""

from __future__ import annotations

from typing import Any

DIGEST = "f473cdc0674124ef2a215b6e18936cb9291b85d5cdc3f9d178b89f804012d6a2"
OTHER = "0" + DIGEST[1:]

ROWS = [{"amount": 49.86, "country": "CZ"}]


def bundle(digest: str = DIGEST) -> dict[str, Any]:
    """A bundle in a store."""
    uri = f"s3://fairlead/bundles/{digest}.tar"
    return {"name": "fraud", "digest": digest, "uri": uri, "format": "onnx", "probe": {"rows": ROWS}}


MANAGED: dict[str, Any] = {"bundle": bundle()}

STATIC: dict[str, Any] = {
    "mode": "static",
    "static": {
        "blue": {"bundle": bundle(), "weight": 90},
        "green": {"bundle": bundle(OTHER), "replicas": 1, "weight": 10},
    },
}


def with_values(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """*base* with *more* put over it, key by key, as helm does."""
    merged = dict(base)
    for key, value in more.items():
        inner = merged.get(key)
        merged[key] = (
            with_values(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
        )
    return merged
