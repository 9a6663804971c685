"""The page about a dataset, for people: what came in, what was refused and changed, and what the columns look like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fairlead import report as html
from fairlead.data.report import Change, Reason, Report
from fairlead.data.split import SPLITS
from fairlead.report.numbers import number, percent
from fairlead.stats.profile import ColumnProfile, Numbers, Profile, Times, TopValues

_BARS = 24
_MOST_LINES = 60
_TOP = 4


def page(name: str, digest: str, report: Report, profile: Profile) -> str:
    """One self-contained HTML file.

    Args:
        name: Of the project.
        digest: Of the snapshot.
        report: What was done to the rows.
        profile: Of the training rows.
    """
    subtitle = f"{report.source}  ·  snapshot {digest[:16]}"
    return html.page(
        f"{name}: data", subtitle, [section for section in _sections(report, profile) if section.blocks]
    )


def _sections(report: Report, profile: Profile) -> Iterator[html.Section]:
    yield html.Section("Rows", "What became of the rows of the source.", [_facts(report), *_notes(report)])
    yield html.Section("Quarantine", "Rows that broke the contract are kept apart, with their reasons, in quarantine.parquet.",
                       [_reasons(report)])  # fmt: skip
    yield html.Section("Changes", "How raw values were made uniform, and which entry of the contract asked for it.",
                       [_changes(report.changes)])  # fmt: skip
    if report.outliers:
        yield html.Section("Outliers", "Numbers far outside the quartiles. An outlier is often the very thing to be found.",
                           [_outliers(report)])  # fmt: skip
    yield html.Section("Split", f"Divided {report.split.why}.", list(_split(report)))
    yield html.Section("Leak checks", "Made on the files as they were written, independently of how they were divided.",
                       [_leaks(report)])  # fmt: skip
    yield html.Section("Columns", "Of the training rows only: nothing here was learned from validation or test rows.",
                       list(_columns(profile)))  # fmt: skip


def _facts(report: Report) -> html.Facts:
    rows = report.rows
    labels = {
        "read": "rows read", "kept": "rows kept", "quarantined": "quarantined", "duplicates": "duplicates dropped",
        "incomplete": "incomplete, dropped", "outliers": "outliers dropped",
    }  # fmt: skip
    always = ("read", "kept", "quarantined", "duplicates")
    shown = {label: rows[key] for key, label in labels.items() if key in always or rows[key]}
    return html.Facts({label: _of(count, rows["read"]) for label, count in shown.items()})


def _of(count: int, total: int) -> str:
    return number(count) if count in (0, total) else f"{number(count)} ({percent(count / total)})"


def _notes(report: Report) -> Iterator[html.Block]:
    for note in report.notes:
        yield html.Note(note, "warn")
    if report.dropped_columns:
        shown = ", ".join(report.dropped_columns[:_MOST_LINES])
        yield html.Note(f"Not in the contract, and left out: {shown}.", "info", title="Columns left out")


def _reasons(report: Report) -> html.Table:
    rows = [
        (
            html.Code(reason.column) if reason.column else "row rule",
            _rule(reason),
            reason.count,
            _reason_examples(reason),
        )
        for reason in report.reasons[:_MOST_LINES]
    ]
    return html.Table(("column", "rule", "rows", "such as"), rows, empty="No row broke the contract.")


def _rule(reason: Reason) -> str:
    return f"{reason.rule} ({reason.because})" if reason.because else reason.rule


def _reason_examples(reason: Reason) -> str:
    return "; ".join(f"row {one['row']:,}: {_cut(one['value'])}" for one in reason.examples)


def _changes(changes: Sequence[Change]) -> html.Table:
    rows = [
        (html.Code(change.column), change.action, change.why, change.count,
         "; ".join(f"{_quoted(before)} → {_quoted(after)}" for before, after in change.examples))
        for change in changes[:_MOST_LINES]
    ]  # fmt: skip
    return html.Table(
        ("column", "what", "why", "values", "such as"), rows, empty="Nothing had to be changed."
    )


def _quoted(text: str) -> str:
    return text if text == "(missing)" else f"“{_cut(text, 40)}”"


def _outliers(report: Report) -> html.Table:
    rows = [
        (html.Code(one.column), f"{number(one.low)} to {number(one.high)}", one.count, one.action,
         ", ".join(number(value) for value in one.examples))
        for one in report.outliers
    ]  # fmt: skip
    return html.Table(("column", "fences", "rows", "they were", "such as"), rows)


def _split(report: Report) -> Iterator[html.Block]:
    split = report.split
    total = sum(split.rows.values())
    rows: list[tuple[html.Cell, ...]] = [
        (name, split.rows[name], percent(split.rows[name] / total)) for name in SPLITS
    ]
    if not split.spans:
        yield html.Table(("split", "rows", "share"), rows)
    else:
        spans = [tuple(map(_moment, split.spans[name])) for name in SPLITS]
        timed = [(*row, *span) for row, span in zip(rows, spans, strict=True)]
        yield html.Table(("split", "rows", "share", "first", "last"), timed)
    if split.classes:
        labels = sorted({label for counts in split.classes.values() for label in counts})[:_MOST_LINES]
        lines = [(label, *(_class_share(split.classes[name], label) for name in SPLITS)) for label in labels]
        yield html.Table(("class", *SPLITS), lines, caption="Rows by class")


def _class_share(counts: Mapping[str, int], label: str) -> str:
    count = counts.get(label, 0)
    return f"{number(count)} ({percent(count / sum(counts.values()))})"


def _leaks(report: Report) -> html.Table:
    rows = [(html.Badge("held", "good"), one.check, one.looked_at) for one in report.leaks]
    return html.Table(("outcome", "check", "looked at"), rows)


# --------------------------------------------------------------------------------------------------- columns


def _columns(profile: Profile) -> Iterator[html.Block]:
    """One table a family of types: numbers, categories and times have different figures."""
    numbers = {name: column for name, column in profile.columns.items() if column.numbers is not None}
    values = {name: column for name, column in profile.columns.items() if column.values is not None}
    times = {name: column for name, column in profile.columns.items() if column.times is not None}
    if numbers:
        heads = (
            "column",
            "type",
            "missing",
            "1 % to 99 %",
            "mean",
            "std",
            "minimum",
            "1 %",
            "median",
            "99 %",
            "maximum",
        )
        yield html.Table(heads, [_number_row(name, column) for name, column in numbers.items()],
                         caption="Numbers, and lengths of texts in characters")  # fmt: skip
    if values:
        yield html.Table(("column", "type", "missing", "distribution", "different", "most frequent"),
                         [_value_row(name, column) for name, column in values.items()], caption="Categories")  # fmt: skip
    if times:
        yield html.Table(("column", "missing", "distribution", "first", "last"),
                         [_time_row(name, column) for name, column in times.items()], caption="Dates and times")  # fmt: skip


def _missing(column: ColumnProfile) -> str:
    return percent(column.missing / column.count) if column.missing else "0"


def _number_row(name: str, column: ColumnProfile) -> tuple[html.Cell, ...]:
    numbers, whole = column.numbers or Numbers(), column.kind in ("integer", "text")
    kind = "text length" if column.kind == "text" else column.kind
    if not numbers.count:
        return (html.Code(name), kind, _missing(column), *(None,) * 8)
    low, middle, high = (_rounded(numbers.quantile(q), whole=whole) for q in (0.01, 0.5, 0.99))
    return (html.Code(name), kind, _missing(column), _number_bars(numbers, whole=whole), numbers.mean, numbers.std,
            numbers.minimum, low, middle, high, numbers.maximum)  # fmt: skip


def _rounded(value: float | None, *, whole: bool) -> float | None:
    """A quantile to the digits that the sketch knows."""
    if value is None or value == 0:
        return value
    return float(round(value)) if whole and abs(value) < 1_000 else float(f"{value:.3g}")


def _number_bars(numbers: Numbers, *, whole: bool) -> html.Cell:
    low, high = numbers.quantile(0.01), numbers.quantile(0.99)
    if low is None or high is None:
        return None
    bars = _BARS
    if (
        whole and high - low < 2 * _BARS
    ):  # a bar a number, or the picture would have teeth that the data has not
        low, high = round(low) - 0.5, round(high) + 0.5
        bars = int(high - low)
    if high <= low:
        return html.Histogram([numbers.count], f"all at {number(low)}")
    counts = numbers.sketch.histogram(np.linspace(low, high, bars + 1))
    return html.Histogram(counts.tolist(), f"from {number(low)} to {number(high)}")


def _value_row(name: str, column: ColumnProfile) -> tuple[html.Cell, ...]:
    values = column.values or TopValues()
    counts = [count for _, count in values.top(_BARS)]
    different = number(len(values.counts)) if values.exact else f"more than {number(len(values.counts))}"
    bars = html.Histogram(counts, f"the {len(counts)} most frequent values") if counts else None
    return html.Code(name), column.kind, _missing(column), bars, different, _most_frequent(column, values)


def _most_frequent(column: ColumnProfile, values: TopValues) -> str:
    known = max(column.count - column.missing, 1)
    return ", ".join(f"{_cut(value, 30)} {percent(count / known)}" for value, count in values.top(_TOP))


def _time_row(name: str, column: ColumnProfile) -> tuple[html.Cell, ...]:
    times = column.times or Times()
    return html.Code(name), _missing(column), _time_bars(times), _moment(times.first), _moment(times.last)


def _time_bars(times: Times) -> html.Cell:
    if not times.bins:
        return None
    first, last = min(times.bins), max(times.bins)
    counts, _ = np.histogram(
        list(times.bins),
        bins=min(_BARS, last - first + 1),
        range=(first, last + 1),
        weights=list(times.bins.values()),
    )
    return html.Histogram(counts.tolist(), f"from {times.first} to {times.last}")


def _moment(text: str | None) -> str:
    return (text or "").partition(".")[0].replace("T", " ")


def _cut(text: object, limit: int = 120) -> str:
    written = str(text)
    return written if len(written) <= limit else f"{written[:limit]}…"
