"""The page about a dataset, for people: what came in, what was refused and changed, and what the columns look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fairlead import report as html
from fairlead.data.report import Change, Reason, Report
from fairlead.report.numbers import number, percent
from fairlead.stats.profile import ColumnProfile, Numbers, Profile, Times

_BARS = 24
_MOST_LINES = 60
_TOP = 3
_SHORT = 44


def page(name: str, digest: str, report: Report, profile: Profile) -> str:
    """One self-contained HTML file.

    Args:
        name: Of the project.
        digest: Of the snapshot.
        report: What was done to the rows.
        profile: Of the training rows.
    """
    subtitle = f"{report.source}  ·  snapshot {digest[:16]}"
    return html.page(f"{name}: data", subtitle, [section for section in _sections(report, profile) if section.blocks])


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
                       [_columns(profile)])  # fmt: skip


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
        (html.Code(reason.column) if reason.column else "several", _rule(reason), reason.count, _reason_examples(reason))
        for reason in report.reasons[:_MOST_LINES]
    ]
    return html.Table(("column", "rule", "rows", "such as"), rows, empty="No row broke the contract.")


def _rule(reason: Reason) -> str:
    return f"{reason.rule} ({reason.because})" if reason.because else reason.rule


def _reason_examples(reason: Reason) -> str:
    return "; ".join(f"row {one['row']:,}: {_cut(one['value'], 120)}" for one in reason.examples)


def _changes(changes: Sequence[Change]) -> html.Table:
    rows = [
        (html.Code(change.column), change.action, change.why, change.count,
         "; ".join(f"{_quoted(before)} → {_quoted(after)}" for before, after in change.examples))
        for change in changes[:_MOST_LINES]
    ]  # fmt: skip
    return html.Table(("column", "what", "why", "values", "such as"), rows, empty="Nothing had to be changed.")


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
        (name, count, percent(count / total), *split.spans.get(name, ("", ""))) for name, count in split.rows.items()
    ]
    spans = bool(split.spans)
    heads = ("split", "rows", "share", "first", "last")
    yield html.Table(heads if spans else heads[:3], rows if spans else [row[:3] for row in rows])
    if split.classes:
        labels = sorted({label for counts in split.classes.values() for label in counts})[:_MOST_LINES]
        lines = [
            (label, *(_class_share(split.classes.get(name, {}), label) for name in split.rows)) for label in labels
        ]
        yield html.Table(("class", *split.rows), lines, caption="Rows by class")


def _class_share(counts: object, label: str) -> str:
    by_label = dict(counts) if isinstance(counts, dict) else {}
    total = sum(by_label.values())
    count = by_label.get(label, 0)
    return f"{number(count)} ({percent(count / total)})" if total else number(count)


def _leaks(report: Report) -> html.Table:
    rows = [(html.Badge("held", "good"), one.check, one.looked_at) for one in report.leaks]
    return html.Table(("outcome", "check", "looked at"), rows)


# --------------------------------------------------------------------------------------------------- columns


def _columns(profile: Profile) -> html.Table:
    rows = [_column(name, column) for name, column in profile.columns.items()]
    heads: list[str | html.Column] = [
        "column", "type", html.Column("missing", "right"), html.Column("distribution", says="1 % to 99 %; the ends hold the rest"),
        html.Column("mean ± std", "right"), html.Column("minimum", "right"), html.Column("1 %", "right"),
        html.Column("median", "right"), html.Column("99 %", "right"), html.Column("maximum", "right"), "most frequent",
    ]  # fmt: skip
    return html.Table(heads, rows)


def _column(name: str, column: ColumnProfile) -> tuple[html.Cell, ...]:
    missing = percent(column.missing / column.count) if column.missing else ""
    kind = "text (length)" if column.kind == "text" else column.kind
    return (html.Code(name), kind, missing, _distribution(column), *_figures(column), _top_values(column))


def _distribution(column: ColumnProfile) -> html.Cell:
    if column.numbers is not None:
        return _number_bars(column.numbers, whole=column.kind in ("integer", "text"))
    if column.times is not None:
        return _time_bars(column.times)
    if column.values is not None and column.values.counts:
        counts = [count for _, count in column.values.top(_BARS)]
        return html.Histogram(counts, f"the {len(counts)} most frequent values")
    return None


def _number_bars(numbers: Numbers, *, whole: bool) -> html.Cell:
    low, high = numbers.quantile(0.01), numbers.quantile(0.99)
    if low is None or high is None:
        return None
    bars = _BARS
    if whole and high - low < _BARS:
        low, high = np.floor(low) - 0.5, np.ceil(high) + 0.5
        bars = max(1, int(high - low))
    if high <= low:
        return html.Histogram([numbers.count], f"all at {number(low)}")
    counts = numbers.sketch.histogram(np.linspace(low, high, bars + 1))
    return html.Histogram(counts.tolist(), f"from {number(low)} to {number(high)}")


def _time_bars(times: Times) -> html.Cell:
    if not times.bins:
        return None
    first, last = min(times.bins), max(times.bins)
    counts, _ = np.histogram(
        list(times.bins), bins=min(_BARS, last - first + 1), range=(first, last + 1), weights=list(times.bins.values())
    )
    return html.Histogram(counts.tolist(), f"from {times.first} to {times.last}")


def _figures(column: ColumnProfile) -> tuple[html.Cell, ...]:
    if column.times is not None:
        return "", _moment(column.times.first), "", "", "", _moment(column.times.last)
    numbers = column.numbers
    if numbers is None or not numbers.count:
        return ("",) * 6
    spread = f"{number(numbers.mean)} ± {number(numbers.std, 3)}"
    low, middle, high = (number(numbers.quantile(q), 3) for q in (0.01, 0.5, 0.99))
    return spread, number(numbers.minimum), low, middle, high, number(numbers.maximum)


def _moment(text: str | None) -> str:
    return (text or "").partition(".")[0].replace("T", " ")


def _top_values(column: ColumnProfile) -> str:
    if column.values is None:
        return ""
    known = max(column.count - column.missing, 1)
    top = ", ".join(f"{_cut(value, 24)} {percent(count / known)}" for value, count in column.values.top(_TOP))
    others = len(column.values.counts) - _TOP
    more = "" if others <= 0 else f" and {others} more" if column.values.exact else f" and more than {others} others"
    return top + more


def _cut(text: object, limit: int = _SHORT) -> str:
    written = str(text)
    return written if len(written) <= limit else f"{written[:limit]}…"
