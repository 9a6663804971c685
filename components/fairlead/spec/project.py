"""``fairlead.yaml``: one file that says what is wanted.

Every field states its meaning, unit and default, and the reason for the default. The JSON schema made from
these models stands beside this file (``project.schema.json``) so that editors can complete and check while
typing.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from fairlead.spec.base import Misfits, SpecModel
from fairlead.spec.metrics import METRICS, Task, metrics_of
from fairlead.spec.release import Release
from fairlead.spec.run import Run
from fairlead.spec.serve import Serve

Fraction = Annotated[float, Field(gt=0, lt=1)]
Money = float


class OutcomeValue(SpecModel):
    """What one prediction is worth, by how it turns out. Positive is gain, negative is loss.

    Which fields apply follows from the task: the four cells for two classes, ``correct`` and ``wrong`` for
    more than two, ``over`` and ``under`` (per unit of the target) for regression and forecast.
    """

    currency: str = Field(min_length=1)
    """ISO 4217 code, printed beside every amount."""
    true_positive: Money | None = None
    """Two classes: money per example that is positive and was called positive."""
    false_positive: Money | None = None
    """Two classes: money per example that is negative and was called positive."""
    false_negative: Money | None = None
    """Two classes: money per example that is positive and was called negative."""
    true_negative: Money | None = None
    """Two classes: money per example that is negative and was called negative."""
    correct: Money | None = None
    """More than two classes: money per right answer."""
    wrong: Money | None = None
    """More than two classes: money per wrong answer."""
    over: Money | None = None
    """Regression, forecast: money per unit predicted too much (usually negative)."""
    under: Money | None = None
    """Regression, forecast: money per unit predicted too little (usually negative)."""

    @model_validator(mode="after")
    def _one_complete_group(self) -> Self:
        groups = {
            "true_positive, false_positive, false_negative, true_negative": (
                self.true_positive, self.false_positive, self.false_negative, self.true_negative),
            "correct, wrong": (self.correct, self.wrong),
            "over, under": (self.over, self.under),
        }  # fmt: skip
        started = {names: cells for names, cells in groups.items() if any(cell is not None for cell in cells)}
        if len(started) != 1:
            raise ValueError(f"give exactly one of these groups: {'; '.join(groups)}")
        [(names, cells)] = started.items()
        if any(cell is None for cell in cells):
            raise ValueError(f"this group must be complete: {names}")
        return self


class Problem(SpecModel):
    """What is to be solved, for whom, and what it is worth."""

    statement: str = Field(min_length=1)
    """One sentence a customer would understand."""
    owner: str = Field(min_length=1)
    """A person or team that answers for the model in production."""
    value: OutcomeValue | None = None
    """Money per outcome. It chooses the decision threshold and makes ``value_per_1000`` measurable; without
    it the threshold is 0.5."""


class CsvSource(SpecModel):
    """One CSV file, a folder of them, or a pattern."""

    kind: Literal["csv"]
    uri: str
    """A path (relative to the project file), ``s3://…``, a folder, or a pattern such as ``days/*.csv``."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    encoding: str = "utf-8"


class ParquetSource(SpecModel):
    """One Parquet file, a folder of them, or a pattern."""

    kind: Literal["parquet"]
    uri: str


class JsonLinesSource(SpecModel):
    """JSON Lines: one object a line."""

    kind: Literal["jsonl"]
    uri: str


class SqlSource(SpecModel):
    """The rows of one query."""

    kind: Literal["sql"]
    uri: str
    """A SQLAlchemy URL. ``${NAME}`` is replaced by the environment variable, so that no password stands in
    the file."""
    query: str
    """One SELECT. Give it an ORDER BY: the order of rows is part of a snapshot's identity."""


class TextsSource(SpecModel):
    """A folder of texts, one file an example; the name of the folder that holds a file is its label.

    Gives the columns ``path``, ``label``, ``text``; with ``format: email`` also ``subject``, ``sender``,
    ``date``.
    """

    kind: Literal["texts"]
    uri: str
    format: Literal["plain", "email"] = "plain"
    labels: dict[str, str] = Field(default_factory=dict)
    """Folder name to label, where the folder's name is not the label: ``{easy-ham-1: ham, spam-1: spam}``."""
    encoding: str = "utf-8"


class ImagesSource(SpecModel):
    """A folder of images, one file an example; the name of the folder that holds a file is its label.

    Gives the columns ``path``, ``label``, ``width``, ``height`` and one grey value (0 to 255) a pixel after
    scaling, named ``px_ROW_COLUMN``.
    """

    kind: Literal["images"]
    uri: str
    size: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (16, 16)
    """Rows and columns every image is scaled to. 16 × 16 because a linear model or a forest reads no more
    detail."""


Source = Annotated[
    CsvSource | ParquetSource | JsonLinesSource | SqlSource | TextsSource | ImagesSource,
    Field(discriminator="kind"),
]


class Cleaning(SpecModel):
    """What is done to rows that satisfy the contract. What breaks the contract is quarantined instead."""

    duplicates: Literal["drop", "keep", "fail"] = "drop"
    """Exact duplicates of a whole row. Dropped by default: they count double and end up on both sides of a
    split."""
    missing: Literal["impute", "drop"] = "impute"
    """Missing values that the contract allows. ``impute`` leaves them to the model's own preprocessing, which
    is fitted on training rows only; ``drop`` drops the row."""
    outliers: Literal["flag", "drop", "ignore"] = "flag"
    """Numbers beyond ``outlier_fence`` interquartile ranges from the quartiles of all rows. Flagged in the report by
    default: an outlier is often the very thing to be found."""
    outlier_fence: float = Field(default=6.0, gt=0)
    """Interquartile ranges. 6 instead of Tukey's 1.5, because money and durations have long tails."""


class Split(SpecModel):
    """How rows are divided into training, validation and test."""

    method: Literal["auto", "random", "stratified", "group", "time"] = "auto"
    """``auto``: by time when ``data.time`` is set, else by group when ``data.group`` is set, else stratified
    for classification, else random."""
    valid: Fraction = 0.15
    """Share of rows on which the decision threshold is chosen."""
    test: Fraction = 0.2
    """Share of rows held out until the end. Gates are judged on it."""
    seed: int = 0
    """Changes which rows go where, and nothing else."""

    @model_validator(mode="after")
    def _training_rows_remain(self) -> Self:
        if self.valid + self.test > 0.9:
            raise ValueError(
                f"valid + test is {self.valid + self.test:g}; at least 0.1 must be left for training"
            )
        return self


class Series(SpecModel):
    """Forecast only: how raw rows become one regular series a key."""

    by: tuple[str, ...] = ()
    """Columns that tell series apart. Empty: one series."""
    value: str
    """The column that is summed over each period."""
    every: Literal["hour", "day", "week"] = "day"
    """Length of a period."""
    top: Annotated[int, Field(ge=1)] | None = 50
    """Only the series with the largest totals in the training period; none: all of them."""
    horizon: int = Field(default=7, ge=1, le=60)
    """Periods ahead that are forecast."""
    window: int = Field(default=28, ge=2, le=400)
    """Periods of history the model sees, and a request must carry."""
    season: int = Field(default=7, ge=1)
    """Periods after which the pattern repeats; the seasonal-naive baseline copies the value one season
    back."""

    @model_validator(mode="after")
    def _window_holds_a_season(self) -> Self:
        if self.window < self.season:
            raise ValueError(f"window is {self.window}, but must be at least one season ({self.season})")
        return self


class Data(SpecModel):
    """Where the data comes from, what it means and how it is prepared."""

    source: Source
    target: str | None = None
    """The column to predict. Not for clustering, nor for forecast (there it is ``series.value``)."""
    time: str | None = None
    """When an example happened. Gives a split without future in training."""
    group: str | None = None
    """Who an example belongs to (customer, device): with ``split.method: group`` a group is never on both
    sides."""
    contract: str = "contract.yaml"
    """Path of the data contract, relative to the project file. ``fairlead data infer`` writes a first one."""
    clean: Cleaning = Cleaning()
    split: Split = Split()
    series: Series | None = None
    """Required for forecast, refused for other tasks."""


def _choices_or_range(value: Any) -> Any:
    """What a parameter may be searched in: a list that is not empty, or numbers ``low`` and ``high``."""
    if isinstance(value, list) and value:
        return value
    if not isinstance(value, dict):
        raise ValueError("must be a list of choices or a range {low, high, log, step}")  # noqa: TRY004 - pydantic's rule
    unknown = sorted(str(key) for key in value if key not in ("low", "high", "log", "step"))
    if unknown:
        raise ValueError(f"a range has low, high, log and step, but no {', '.join(unknown)}")
    ends = (value.get("low"), value.get("high"))
    if not all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends):
        raise ValueError("a range needs numbers low and high")
    if not (math.isfinite(value["low"]) and math.isfinite(value["high"])):
        raise ValueError("low and high must be finite")
    if not isinstance(value.get("log", False), bool):
        raise ValueError("log must be true or false")  # noqa: TRY004 - pydantic's rule
    if not value["low"] < value["high"]:
        raise ValueError("low must be below high")
    if value.get("log") and value["low"] <= 0:
        raise ValueError("a logarithmic range must start above 0")
    return value


ParameterSpace = Annotated[list[Any] | dict[str, Any], BeforeValidator(_choices_or_range)]
"""A list of choices, or ``{low, high, log, step}`` (whole numbers when both ends are whole)."""


class CustomCandidate(SpecModel):
    """A candidate by import path."""

    use: str = Field(pattern=r"^[\w.]+:\w+$")
    """``package.module:function`` in the project's own package; called with the trial's parameters as
    keywords, it returns an unfitted scikit-learn estimator."""
    name: str | None = Field(default=None, pattern=r"^\w+$")
    """Short name in tables. Default: the function's name."""
    space: dict[str, ParameterSpace] = Field(default_factory=dict)
    """Parameter to a list of choices, or ``{low, high, log, step}`` (whole numbers when both ends are
    whole)."""


class Candidate(SpecModel):
    """A built-in candidate whose search space is changed."""

    name: str
    """A short name, see ``fairlead check --candidates``."""
    space: dict[str, ParameterSpace] = Field(default_factory=dict)
    """Replaces the built-in space of these parameters; a list with one choice fixes a parameter."""


def _kind_of_candidate(value: Any) -> str | None:
    """Which form of a candidate *value* is meant to be: mistakes are told for that form only."""
    if isinstance(value, str):
        return "str"
    if isinstance(value, dict):
        return "CustomCandidate" if "use" in value else "Candidate"
    return type(value).__name__ if isinstance(value, (Candidate, CustomCandidate)) else None


AnyCandidate = Annotated[
    Annotated[str, Tag("str")]
    | Annotated[Candidate, Tag("Candidate")]
    | Annotated[CustomCandidate, Tag("CustomCandidate")],
    Discriminator(
        _kind_of_candidate,
        custom_error_type="candidate",
        custom_error_message="must be a short name, {name, space} or {use, space}",
    ),
]


class Search(SpecModel):
    """How the parameters of candidates are searched."""

    method: Literal["grid", "random", "tpe"] = "random"
    """Grid and random draw each trial from its own number, so any number of workers gives the same result.
    TPE learns from earlier trials: it repeats exactly with one worker only, and runs with more are marked as
    not repeatable."""
    trials: int = Field(default=12, ge=1, le=10_000)
    """Parameter sets tried in all, shared evenly by the candidates."""
    folds: int = Field(default=3, ge=2, le=20)
    """Cross-validation folds; they respect time and group as the split does."""
    workers: int = Field(default=1, ge=1, le=64)
    """Tasks that search in parallel. Each is one process with one arithmetic thread."""
    seed: int = 0


class Gate(SpecModel):
    """One bar a model must pass. Judged on the test rows."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    better_than: Literal["baseline"] | None = None
    """Better than the baseline, which is always trained."""
    by: float = Field(default=0.0, ge=0)
    """With ``better_than``: by how much, in the metric's unit."""
    not_worse_than: Literal["champion"] | None = None
    """Not worse than the registered champion on the same rows (paired). Not applicable while there is
    none."""
    margin: float = Field(default=0.0, ge=0)
    """With ``not_worse_than``: the non-inferiority margin, in the metric's unit; the lower end of the paired
    95 % interval must stay above it."""

    @model_validator(mode="after")
    def _has_a_bar(self) -> Self:
        if all(bar is None for bar in (self.at_least, self.at_most, self.better_than, self.not_worse_than)):
            raise ValueError("a gate needs at_least, at_most, better_than or not_worse_than")
        if self.by and not self.better_than:
            raise ValueError("by goes with better_than")
        if self.margin and not self.not_worse_than:
            raise ValueError("margin goes with not_worse_than")
        return self


class Model(SpecModel):
    """What is trained and which bars it must pass."""

    task: Task
    positive: str | None = None
    """Two classes: the value of the target that counts as positive. Default: ``1``, ``true`` or ``yes`` if
    the target has one of them, else the rarer class."""
    features: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$")
    """``module:function`` in the project's own package; called with the :class:`~fairlead.schema.Schema`, it
    returns an unfitted scikit-learn transformer of the encoded array. Default: fairlead's own
    preprocessing."""
    candidates: tuple[AnyCandidate, ...] = Field(min_length=1)
    """Short names, ``{name, space}`` or ``{use, space}``."""
    objective: str | None = None
    """The metric that search maximises or minimises. Default by task: ``average_precision`` (two classes),
    ``neg_log_loss`` order via ``log_loss`` (more), ``mae`` (regression), ``mase`` (forecast),
    ``silhouette``."""
    search: Search = Search()
    gates: tuple[Gate, ...] = ()
    slices: tuple[str, ...] = ()
    """Columns by whose values the evaluation is broken down."""

    @field_validator("objective")
    @classmethod
    def _objective_is_a_metric(cls, value: str | None) -> str | None:
        if value is not None and value not in METRICS:
            raise ValueError(f"no metric of this name; known: {', '.join(sorted(METRICS))}")
        return value


class Project(SpecModel):
    """The project file."""

    apiVersion: Literal["fairlead/v1"]  # noqa: N815 - the field's name is Kubernetes' convention
    """Version of this format."""
    name: str = Field(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")
    """Names the experiment, the registered model, the Bento and Kubernetes objects: lower case, digits and
    dashes, at most 40 characters, so that derived names stay within Kubernetes' 63."""
    problem: Problem
    data: Data
    model: Model
    serve: Serve = Serve()
    """What holds for the model wherever it is served."""
    release: Release = Release()
    """How a new version gets traffic, and what stops it."""
    run: Run = Run()
    """How tasks run as containers on a cluster; a run on a laptop ignores it."""

    @model_validator(mode="after")
    def _parts_fit_the_task(self) -> Self:
        if found := _misfits(self):
            raise Misfits(found)
        return self


Misfit = tuple[tuple[str | int, ...], str]
"""A location in the file and the rule that is broken there."""


def _misfits(project: Project) -> list[Misfit]:
    """What in *project* does not fit its task."""
    return [*_data_misfits(project), *_model_misfits(project), *_value_misfits(project)]


def _data_misfits(project: Project) -> list[Misfit]:
    task, data, method = project.model.task, project.data, project.data.split.method
    how: tuple[str | int, ...] = ("data", "split", "method")
    rules: tuple[tuple[bool, Misfit], ...] = (
        (_is_supervised(task) and not data.target, (("data",), f"task {task} needs data.target")),
        (
            not _is_supervised(task) and bool(data.target),
            (("data", "target"), f"task {task} takes no target"),
        ),
        (task == "forecast" and data.series is None, (("data",), "task forecast needs data.series")),
        (
            task != "forecast" and data.series is not None,
            (("data", "series"), f"task {task} takes no series"),
        ),
        (task == "forecast" and not data.time, (("data",), "task forecast needs data.time")),
        (task == "forecast" and method not in ("auto", "time"), (how, "a forecast is split by time")),
        (method == "time" and not data.time, (how, "a split by time needs data.time")),
        (method == "group" and not data.group, (how, "a split by group needs data.group")),
        (method == "stratified" and task != "classification", (how, "stratified is for classification")),
    )
    return [misfit for broken, misfit in rules if broken]


def _model_misfits(project: Project) -> list[Misfit]:
    model = project.model
    known = metrics_of(model.task)
    asked: list[tuple[tuple[str | int, ...], str]] = [
        (("model", "gates", position, "metric"), gate.metric) for position, gate in enumerate(model.gates)
    ]
    if model.objective is not None:
        asked.append((("model", "objective"), model.objective))
    found = [(place, _unknown_metric(model.task, known)) for place, metric in asked if metric not in known]
    if model.positive is not None and model.task != "classification":
        found.append((("model", "positive"), f"task {model.task} has no positive class"))
    return found


def _value_misfits(project: Project) -> list[Misfit]:
    task, value = project.model.task, project.problem.value
    if value is None:
        gates: list[Misfit] = [
            (("model", "gates", position, "metric"), "value_per_1000 needs problem.value")
            for position, gate in enumerate(project.model.gates)
            if gate.metric == "value_per_1000"
        ]
        guard: Misfit = (("release", "guards", "value"), "needs problem.value: what each outcome is worth")
        return [*gates, *([guard] if project.release.guards.value else [])]
    if task == "clustering":
        return [(("problem", "value"), "clustering has no outcomes that could be worth something")]
    is_per_unit = value.over is not None
    if is_per_unit == (task == "classification"):
        needed = "over and under" if is_per_unit is False else "the four cells, or correct and wrong"
        return [(("problem", "value"), f"the value of {task} is given by {needed}")]
    return []


def _is_supervised(task: Task) -> bool:
    return task in ("classification", "regression")


def _unknown_metric(task: Task, known: frozenset[str]) -> str:
    return f"no stage measures this for {task}; measured are {', '.join(sorted(known))}"
