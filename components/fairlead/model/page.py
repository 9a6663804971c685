"""The model's page: may it go on, what is it worth, where is it weak, and what is it made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead.gates import ChampionComparison, lets_through
from fairlead.model import figures
from fairlead.model.evaluation import Estimate, Evaluation, SliceQuality, SliceVerdict
from fairlead.model.importance import FieldImportance
from fairlead.model.learning import Fit, LearningPoint, LearningVerdict
from fairlead.model.summary import title
from fairlead.model.trials import Trial
from fairlead.records import GateResult, Outcome
from fairlead.report import (
    Badge,
    Block,
    Cell,
    Code,
    Column,
    Facts,
    Figure,
    Measured,
    Note,
    Section,
    Table,
    Text,
    Tone,
    number,
    page,
)
from fairlead.report.numbers import percent
from fairlead.spec.metrics import METRICS

MOST_TRIALS = 15
MOST_SERIES = 15
MOST_FIELDS = 12
MOST_CLASSES = 20
_GATES: dict[str, Tone] = {
    Outcome.PASSED: "good",
    Outcome.FAILED: "bad",
    Outcome.NOT_MEASURABLE: "bad",
    Outcome.NOT_APPLICABLE: "plain",
}
_SLICES: dict[SliceVerdict, Tone] = {
    "worse": "bad",
    "better": "good",
    "like the whole": "plain",
    "too few rows": "plain",
    "not measurable": "plain",
}
_FITS: dict[Fit, Tone] = {"over-fit": "warn", "under-fit": "warn", "good fit": "good", "unclear": "info"}


@dataclass(frozen=True, slots=True)
class ModelReport:
    """All that the page shows."""

    project: str
    statement: str
    candidate: str
    """Name of the candidate that won the search."""
    parameters: Mapping[str, Any]
    evaluation: Evaluation
    gates: Sequence[GateResult]
    importance: Sequence[FieldImportance] = ()
    importance_metric: str = ""
    """What importance is measured in; default: the evaluation's objective."""
    learning: Sequence[LearningPoint] = ()
    verdict: LearningVerdict | None = None
    """What the learning curve says."""
    trials: Sequence[Trial] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    """What the model was made from, such as ``dataset`` and ``project``, to its digest."""


@dataclass(frozen=True, slots=True)
class RenderedReport:
    """The page, and the pictures on it, which are also logged one by one."""

    html: str
    pictures: tuple[Figure, ...]


def compose(report: ModelReport) -> RenderedReport:
    """The page as one self-contained HTML file. The same report gives the same bytes."""
    drawn = Section(
        "Pictures",
        "On the test rows, which no part of training has seen.",
        figures.pictures(report.evaluation),
    )
    sections = [
        _verdict(report),
        _worth(report.evaluation),
        _metrics(report.evaluation),
        drawn,
        *_details(report.evaluation),
        _slices(report.evaluation),
        _importance(report),
        _learning(report),
        _search(report),
        _origin(report),
    ]
    shown = [section for section in sections if section.blocks]
    subtitle = f"{report.statement.rstrip('.')}. Winner of the search: {report.candidate}."
    pictures = (block for section in shown for block in section.blocks if isinstance(block, Figure))
    return RenderedReport(page(f"Model report: {report.project}", subtitle, shown), tuple(pictures))


def render(report: ModelReport) -> str:
    """The page alone, see :func:`compose`."""
    return compose(report).html


def training_pictures(report: ModelReport) -> tuple[Figure, ...]:
    """The pictures beside :func:`fairlead.model.figures.pictures` of the evaluation, without the page."""
    parts = (_worth(report.evaluation), _importance(report), _learning(report), _search(report))
    return tuple(block for part in parts for block in part.blocks if isinstance(block, Figure))


# ---------------------------------------------------------------------------------------------------- verdict


def _verdict(report: ModelReport) -> Section:
    missed = [result for result in report.gates if not Outcome(result.outcome).lets_through]
    if not report.gates:
        note = Note(
            "The project sets no gates, so every trained model may be registered.",
            "warn",
            "May be registered: not judged",
        )
    elif lets_through(report.gates):
        note = Note(
            report.evaluation.summary,
            "good",
            f"May be registered: {_passed(len(report.gates))} let it through",
        )
    else:
        text = f"Not passed: {'; '.join(result.gate for result in missed)}. {report.evaluation.summary}"
        note = Note(text, "bad", f"Is not registered: {_missed(len(missed), len(report.gates))} not passed")
    rows = [
        (result.gate, Badge(str(result.outcome), _GATES[result.outcome]), result.reason)
        for result in report.gates
    ]
    blocks: list[Block] = [note]
    if rows:
        blocks.append(Table(("gate", "outcome", "reason"), rows))
    return Section("Verdict", "", blocks)


def _passed(gates: int) -> str:
    return "the one gate" if gates == 1 else f"{gates} gates"


def _missed(missed: int, gates: int) -> str:
    return "the one gate is" if gates == 1 else f"{missed} of {gates} gates"


# ------------------------------------------------------------------------------------------------------ worth


def _worth(evaluation: Evaluation) -> Section:
    worth, choice = evaluation.metrics.get("value_per_1000"), evaluation.threshold
    facts: dict[str, Cell] = {}
    if worth is not None:
        facts["model"] = _measured(worth)
        facts["baseline"] = evaluation.baseline.get("value_per_1000")
        champion = evaluation.champion.differences.get("value_per_1000") if evaluation.champion else None
        if champion is not None:
            facts["champion"] = champion.champion
    blocks: list[Block] = []
    if choice is not None:
        facts["threshold"] = choice.threshold
    if facts:
        blocks.append(Facts(facts))
    if choice is not None:
        blocks.append(
            Text(
                f"Positive is called at a probability of {number(choice.threshold)} or more: {choice.reason}."
            )
        )
        blocks += figures.threshold_value(choice, evaluation.currency)
    intro = f"{evaluation.currency} per 1,000 predictions, on the test rows." if worth is not None else ""
    pictured = any(isinstance(block, Figure) for block in blocks)
    heading = "Threshold" if worth is None else "What it is worth"
    return Section(heading, intro, blocks, beside=pictured)


def _measured(estimate: Estimate | None) -> Measured:
    return Measured(None) if estimate is None else Measured(estimate.value, estimate.low, estimate.high)


# ---------------------------------------------------------------------------------------------------- metrics


def _metrics(evaluation: Evaluation) -> Section:
    champion = evaluation.champion
    compared = champion is not None and bool(champion.differences)
    heads: list[str | Column] = [
        "metric",
        "better",
        "model",
        Column("95 % interval", "right"),
        "baseline",
        "against baseline",
    ]
    if compared and champion is not None:
        heads += [f"champion (version {champion.version})", Column("model minus champion, 95 %", "right")]
    rows = [
        [*_metric_row(name, estimate, evaluation), *(_champion_cells(name, champion) if compared else ())]
        for name, estimate in _ordered(evaluation)
    ]
    intro = (
        f"On {evaluation.rows:,} test rows, with intervals from a seeded bootstrap. "
        f"The search optimised {title(evaluation.objective)}."
    )
    blocks: list[Block] = [Table(heads, rows)]
    if champion is not None and champion.reason:
        blocks.append(
            Note(f"The champion (version {champion.version}) was not compared: {champion.reason}.", "warn")
        )
    return Section("Metrics", intro, blocks)


def _ordered(evaluation: Evaluation) -> list[tuple[str, Estimate]]:
    """The objective first, then in the order of the catalogue of metrics."""
    order = {name: place for place, name in enumerate([evaluation.objective, *METRICS])}
    order[evaluation.objective] = -1
    return sorted(evaluation.metrics.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))


def _metric_row(name: str, estimate: Estimate, evaluation: Evaluation) -> list[Cell]:
    base = evaluation.baseline.get(name)
    metric = METRICS[name]
    judged = (
        None
        if base is None
        else _against(metric.better(estimate.value, base), metric.better(base, estimate.value))
    )
    return [title(name), "higher" if metric.higher_is_better else "lower", estimate.value,
            _interval(estimate.low, estimate.high), base, judged]  # fmt: skip


def _against(better: bool, worse: bool) -> Badge:
    return Badge("better", "good") if better else Badge("worse", "warn") if worse else Badge("equal")


def _interval(low: float | None, high: float | None) -> Cell:
    return None if low is None or high is None else f"{number(low)} to {number(high)}"


def _champion_cells(name: str, champion: ChampionComparison | None) -> list[Cell]:
    difference = champion.differences.get(name) if champion else None
    if difference is None:
        return [None, None]
    return [difference.champion, _interval(difference.low, difference.high)]


# ---------------------------------------------------------------------------------------------------- details


def _details(evaluation: Evaluation) -> list[Section]:
    """What only one kind of task has."""
    found = [_classes(evaluation), _residuals(evaluation), _series(evaluation), _clusters(evaluation)]
    return [section for section in found if section is not None]


def _classes(evaluation: Evaluation) -> Section | None:
    if evaluation.classes is None or len(evaluation.classes.classes) == 2:
        return None
    worst = sorted(
        evaluation.classes.by_class, key=lambda one: (one.f1 if one.f1 is not None else 2.0, one.name)
    )
    rows = [(one.name, one.rows, one.precision, one.recall, one.f1) for one in worst[:MOST_CLASSES]]
    intro = "Each class against the rest, the weakest first."
    if len(worst) > MOST_CLASSES:
        intro += f" {MOST_CLASSES} of {len(worst)} are shown."
    return Section("Classes", intro, [Table(("class", "rows", "precision", "recall", "F1"), rows)])


def _residuals(evaluation: Evaluation) -> Section | None:
    detail = evaluation.numbers
    if detail is None:
        return None
    low, lower, middle, upper, high = detail.quantiles
    facts: dict[str, Cell] = {
        "mean (bias)": detail.mean,
        "predicted too high": percent(detail.share_over),
        "median": middle,
        "half lie between": f"{number(lower, 3)} and {number(upper, 3)}",
        "nine tenths lie between": f"{number(low, 3)} and {number(high, 3)}",
    }
    return Section("Residuals", "Predicted minus actual, in the target's unit.", [Facts(facts)])


def _series(evaluation: Evaluation) -> Section | None:
    detail = evaluation.forecast
    if detail is None:
        return None
    rows = [
        (one.name, one.rows, one.mae, one.baseline_mae, one.mase) for one in detail.by_series[:MOST_SERIES]
    ]
    intro = "The series with the largest errors first."
    if len(detail.by_series) > MOST_SERIES:
        intro += f" {MOST_SERIES} of {len(detail.by_series)} are shown."
    heads = ("series", "rows", "mean absolute error", "seasonal-naive's", "MASE")
    return Section("Series", intro, [Table(heads, rows)])


def _clusters(evaluation: Evaluation) -> Section | None:
    detail = evaluation.clusters
    if detail is None:
        return None
    heads = [Column("field"), Column("all rows", "right")]
    heads += [Column(f"cluster {place}", "right") for place in range(len(detail.sizes))]
    rows: list[list[Cell]] = [["rows", evaluation.rows, *detail.sizes]]
    rows += [[one.field, one.overall, *one.by_cluster] for one in detail.profile]
    intro = "The mean of numbers and the commonest of other values, in all rows and in each cluster."
    return Section("What the clusters are", intro, [Table(heads, rows)])


# ----------------------------------------------------------------------------------------------------- slices


def _slices(evaluation: Evaluation) -> Section:
    judged = evaluation.slice_metric
    worth = any("value_per_1000" in part.metrics for part in evaluation.slices)
    heads = ["column", "value", "rows", title(judged), "against all rows"]
    rows = [_slice_row(part, judged, worth=worth) for part in evaluation.slices]
    whole = number(evaluation.figures.get(judged))
    intro = (
        "The model on parts of the test rows. A part counts as worse or better if its whole 95 % interval "
        f"lies on one side of the figure for all rows ({title(judged)} {whole}); of twenty parts one does so "
        f"by chance. Parts with fewer than {evaluation.slice_minimum} rows are not judged."
    )
    return Section(
        "Slices", intro, [Table([*heads, "value per 1,000"] if worth else heads, rows)] if rows else ()
    )


def _slice_row(part: SliceQuality, judged: str, *, worth: bool) -> list[Cell]:
    row: list[Cell] = [
        part.column,
        part.value,
        part.rows,
        _measured(part.metrics.get(judged)),
        Badge(part.verdict, _SLICES[part.verdict]),
    ]
    return [*row, _measured(part.metrics.get("value_per_1000"))] if worth else row


# --------------------------------------------------------------------------------------------------- training


def _importance(report: ModelReport) -> Section:
    found = report.importance
    if not found:
        return Section("What it leans on")
    metric = report.importance_metric or report.evaluation.objective
    picture = figures.importance(
        [one.field for one in found], [one.loss for one in found], [one.spread for one in found], metric
    )
    intro = f"What {title(metric)} loses when a field's values are shuffled over held-out rows. It proves no cause."
    rows = [(one.field, one.loss, one.spread) for one in found[:MOST_FIELDS]]
    heads = ("field", "loss", Column("spread", says="Standard deviation over the repeats"))
    note = Text("Fields that say the same share their importance, since either stands in for the other.")
    return Section("What it leans on", intro, [Table(heads, rows), note, picture], beside=True)


def _learning(report: ModelReport) -> Section:
    blocks: list[Block] = []
    if report.verdict is not None:
        blocks.append(Note(report.verdict.words, _FITS[report.verdict.fit]))
    if len(report.learning) > 1:
        points = [(point.rows, point.train, point.valid) for point in report.learning]
        rows, train, valid = zip(*points, strict=True)
        blocks.append(figures.learning_curve(rows, train, valid, report.evaluation.objective))
    intro = "Does it learn too much by heart, too little, or would more rows help?"
    return Section("Learning", intro, blocks, beside=True)


def _search(report: ModelReport) -> Section:
    if not report.trials:
        return Section("Search")
    metric = METRICS[report.evaluation.objective]
    done = [(trial.value, trial) for trial in report.trials if trial.value is not None]
    failed = [trial for trial in report.trials if trial.value is None]
    sign = -1 if metric.higher_is_better else 1
    best_first = [trial for _, trial in sorted(done, key=lambda pair: (sign * pair[0], pair[1].number))]
    rows = [_trial_row(trial) for trial in [*best_first, *failed][:MOST_TRIALS]]
    better = "higher" if metric.higher_is_better else "lower"
    intro = (
        f"{len(report.trials)} parameter sets, cross-validated by {title(metric.name)} ({better} is better)."
    )
    if failed:
        intro += f" {len(failed)} failed."
    by_candidate: dict[str, list[tuple[int, float]]] = {}
    for value, trial in sorted(done, key=lambda pair: (pair[1].candidate, pair[1].number)):
        by_candidate.setdefault(trial.candidate, []).append((trial.number, value))
    heads = ("trial", "candidate", title(metric.name), "seconds", "parameters")
    blocks: list[Block] = [figures.trials(by_candidate, metric.name)] if by_candidate else []
    return Section("Search", intro, [*blocks, Table(heads, rows, _shown(len(report.trials)))])


def _shown(trials: int) -> str:
    return f"The best {MOST_TRIALS} of {trials}." if trials > MOST_TRIALS else ""


def _trial_row(trial: Trial) -> list[Cell]:
    parameters = ", ".join(
        f"{name} = {_parameter(value)}" for name, value in sorted(trial.parameters.items())
    )
    note = f"{parameters}; failed: {trial.error}" if trial.value is None else parameters
    return [trial.number, trial.candidate, trial.value, round(trial.seconds, 1), note or "as they come"]


def _parameter(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _origin(report: ModelReport) -> Section:
    parameters = [(name, _parameter(value)) for name, value in sorted(report.parameters.items())]
    digests = [(name, Code(digest)) for name, digest in report.digests.items()]
    blocks: list[Block] = []
    if parameters:
        blocks.append(
            Table(("parameter", Column("value", "left")), parameters, f"Parameters of {report.candidate}")
        )
    if digests:
        blocks.append(Table(("what", "digest"), digests, "The same digests give the same model."))
    return Section("What it is made of", "", blocks)
