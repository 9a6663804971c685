"""What is known about a model after its test: the record ``evaluation.json`` holds.

Everything a page, a picture or a gate needs is in it, so that each of them can be made again without the
model or the data. Fields that a task does not have are None.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from fairlead.gates import ChampionComparison
from fairlead.schema.fields import TaskKind
from fairlead.stats.curves import CalibrationBin, Curve


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; no ends where the resamples left it undefined."""

    value: float
    low: float | None = None
    high: float | None = None


# ------------------------------------------------------------------------------------------------- parts


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The threshold at which positive is called, and why this one."""

    threshold: float
    reason: str
    rows: int
    """Validation rows it was chosen on."""
    per_1000: float | None = None
    """Money per 1,000 validation rows at the threshold; None without problem.value."""
    per_1000_at_half: float | None = None
    """The same at 0.5, for comparison."""
    curve: Curve | None = None
    """Threshold against money per 1,000 validation rows."""


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """One class, one against the rest. None where a share has nothing to be a share of."""

    name: str
    rows: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class ClassDetail:
    """Classification."""

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows by true class (outer) and called class (inner)."""
    by_class: tuple[ClassQuality, ...]
    positive: str = ""
    roc: Curve | None = None
    precision_recall: Curve | None = None
    lift: Curve | None = None
    calibration: tuple[CalibrationBin, ...] = ()


@dataclass(frozen=True, slots=True)
class NumberDetail:
    """Regression and forecast: residuals are predicted minus actual."""

    mean: float
    """Bias: above 0 the model predicts too much on average."""
    quantiles: tuple[float, float, float, float, float]
    """5, 25, 50, 75 and 95 % of the residuals."""
    share_over: float
    """Share of rows predicted too high."""
    sample_predicted: tuple[float, ...]
    """A few hundred rows for the picture."""
    sample_actual: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GroupError:
    """Forecast error of the rows of one step ahead or of one series."""

    name: str
    rows: int
    mae: float
    mase: float | None
    baseline_mae: float


@dataclass(frozen=True, slots=True)
class SeriesExample:
    """Truth and forecasts of one series, each moment forecast once."""

    key: str
    at: tuple[str, ...]
    """ISO 8601."""
    actual: tuple[float, ...]
    predicted: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ForecastDetail:
    """Forecast: where the error is."""

    by_step: tuple[GroupError, ...]
    by_series: tuple[GroupError, ...]
    """Largest error first, by MASE where it is defined, else by MAE."""
    examples: tuple[SeriesExample, ...]


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """One field in all rows and in each cluster: the mean of numbers, the commonest of other values."""

    field: str
    overall: float | str | None
    by_cluster: tuple[float | str | None, ...]


@dataclass(frozen=True, slots=True)
class ClusterDetail:
    """Clustering."""

    sizes: tuple[int, ...]
    profile: tuple[FieldProfile, ...]


SliceVerdict = Literal["too few rows", "not measurable", "worse", "like the whole", "better"]


@dataclass(frozen=True, slots=True)
class SliceQuality:
    """The rows with one value of one column."""

    column: str
    value: str
    rows: int
    verdict: SliceVerdict
    """Whether the interval of the judged metric lies on one side of the figure for all rows."""
    metrics: Mapping[str, Estimate]


# -------------------------------------------------------------------------------------------------- whole


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on the test rows."""

    task: TaskKind
    rows: int
    summary: str
    """The result in a sentence or two."""
    objective: str
    """The metric that the search optimised."""
    metrics: Mapping[str, Estimate]
    baseline: Mapping[str, float]
    currency: str = ""
    slice_metric: str = ""
    """The metric by which slices are judged."""
    slice_minimum: int = 0
    """Slices with fewer rows are not judged."""
    threshold: ThresholdChoice | None = None
    classes: ClassDetail | None = None
    numbers: NumberDetail | None = None
    forecast: ForecastDetail | None = None
    clusters: ClusterDetail | None = None
    slices: tuple[SliceQuality, ...] = ()
    champion: ChampionComparison | None = None

    @property
    def figures(self) -> dict[str, float]:
        """The metrics without their intervals."""
        return {name: estimate.value for name, estimate in self.metrics.items()}

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no NaN, one trailing line feed."""
        record: Any = dataclasses.asdict(self)
        return json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Evaluation:
        """The inverse of :meth:`to_json`.

        Raises:
            pydantic.ValidationError: The text is no evaluation.
        """
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Evaluation]:
    return TypeAdapter(Evaluation)
