"""Writes the pods annotated `prometheus.io/scrape: "true"` as targets for Prometheus.

Debian builds its Prometheus without Kubernetes discovery, so a file does it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from ..places import State
from .api import Api

_ANNOTATION = "prometheus.io/"


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The targets among *pods*: those that run and ask for it, with their labels.

    A label's name becomes one that Prometheus allows: `app.kubernetes.io/name` is `app_kubernetes_io_name`.
    """
    found = []
    for pod in pods:
        meta, status = pod["metadata"], pod["status"]
        notes = {
            key.removeprefix(_ANNOTATION): value
            for key, value in meta.get("annotations", {}).items()
            if key.startswith(_ANNOTATION)
        }
        if notes.get("scrape") != "true" or status["phase"] != "Running" or "podIP" not in status:
            continue
        labels = {re.sub("[^a-zA-Z0-9]", "_", key): value for key, value in meta.get("labels", {}).items()}
        labels |= {"namespace": meta["namespace"], "pod": meta["name"]}
        labels["__metrics_path__"] = notes.get("path", "/metrics")
        found.append({"targets": [f"{status['podIP']}:{notes.get('port', '80')}"], "labels": labels})
    return found


def main() -> None:
    """`python -m singlenode.node.targets STATE`."""
    state = State(Path(sys.argv[1]))
    api, file = Api(state), state.config / "targets.json"
    last = None
    while True:
        try:
            current = targets(api.items("/api/v1/pods"))
        except OSError as error:
            print(error, flush=True)
        else:
            if current != last:
                unfinished = file.with_suffix(".new")
                unfinished.write_text(json.dumps(current, indent=1))
                unfinished.replace(file)  # Prometheus sees the change at once
                last = current
        time.sleep(2)


if __name__ == "__main__":
    main()
