"""Usage statistics of the libraries underneath, switched off: no host is contacted that was not configured.

MLflow, BentoML and ONNX Runtime (since 1.29, on Linux too) report usage to their makers unless the environment says otherwise
before they are loaded. Everything that starts a process or loads one of them does so with this environment.
"""

from __future__ import annotations

import os

OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "ORT_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Environment variables, by the names the libraries document."""


def switch_off() -> None:
    """Set the variables in this process; call it before one of the libraries is imported."""
    os.environ.update(OFF)
