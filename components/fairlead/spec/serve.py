"""The section ``serve`` of the project file: what holds for the model wherever it is served.

What differs between deployments (addresses, credentials, limits, replicas) belongs to the chart's values.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairlead.spec.base import SpecModel
from fairlead.spec.compress import Compress

Keeping = Literal["keep", "hash", "drop"]
Positive = Annotated[float, Field(gt=0)]


class Objective(SpecModel):
    """What a caller is promised."""

    p99_ms: Positive = 50.0
    """99 of 100 answers take no longer, in milliseconds, measured in the server. A bucket edge of the latency histogram, and
    what the load test keeps."""


class PredictionLog(SpecModel):
    """What the prediction log may hold. Answers are always in it; inputs only by rule."""

    inputs: dict[str, Keeping] | None = None
    """By feature: ``keep`` as it is, ``hash`` with a secret of the deployment, ``drop``. Default: nobody has said what may be
    kept, so no inputs are. A feature without a rule is dropped."""
    sample: float = Field(default=1.0, ge=0, le=1)
    """Share of requests that are logged."""
    subject: str | None = None
    """The feature that says whose data a row is. Its hash is kept with every row, so that a person's rows can be deleted."""


class Capacity(SpecModel):
    """A load test of the finished bundle; its result is kept beside the bundle, as ``capacity.json``."""

    seconds: float = Field(default=10.0, ge=1, le=600)
    """Of the round that confirms the rate that was found. A round of the search takes a tenth, but a second and 500 requests
    at least."""
    expected_rate: Positive | None = None
    """Requests a second in production; with it the result says how many replicas they need."""
    price_core_hour: Positive | None = None
    """What one core costs an hour; with it the result says what a million predictions cost."""
    price_gib_hour: Positive | None = None
    """What one GiB of memory costs an hour."""
    at_least: Positive | None = None
    """A gate: requests a second that one pod must answer within the objective."""


class Serve(SpecModel):
    """How the model is served."""

    objective: Objective = Objective()
    explain: bool = True
    """Whether ``/explain`` answers: contributions of features tell a caller about the model."""
    log: PredictionLog = PredictionLog()
    batching: Literal["auto", "off"] = "off"
    """``auto``: requests to ``/predict`` are scored together if the model's measured cost says that it pays, which it does for
    models that are served by scikit-learn. What was measured decides, so two runs on different machines may differ."""
    providers: tuple[str, ...] = Field(default=("CPUExecutionProvider",), min_length=1)
    """ONNX Runtime's execution providers, best first; those that a machine does not have are passed over."""
    compress: Compress | None = None
    """Look for a smaller model that is as good. Default: the trained model is served."""
    capacity: Capacity | None = None
    """Measure how much load a pod bears. Default: not measured, because it takes a minute and a quiet machine."""
