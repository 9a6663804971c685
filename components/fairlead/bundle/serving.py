"""``serve:`` of the project file as the record that travels in the bundle, ``serving.json``.

Its reader is ``fairlead.serve.rules``, at serving time; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.spec.serve import Serve


def serving_record(serve: Serve, batching: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the runtime must know.

    Args:
        serve: The project's section.
        batching: ``rows`` and ``wait_ms`` where it pays to score requests together.

    >>> serving_record(Serve())["log"]
    {'inputs': None, 'sample': 1.0, 'subject': ''}
    """
    return {
        "objective_seconds": serve.objective.p99_ms / 1000,
        "explain": serve.explain,
        "log": {
            "inputs": serve.log.inputs,
            "sample": serve.log.sample,
            "subject": serve.log.subject or "",
        },
        "providers": list(serve.providers),
        "batching": dict(batching) if batching else None,
    }
