"""Counts as text: Prometheus 0.0.4 and OpenMetrics 1.0, whichever the reader asks for.

They differ in names and frame. OpenMetrics calls the family of ``x_total`` ``x``, has a type for info series, says
when each series began (``x_created``), and ends with ``# EOF``, so that a cut-off text is noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from fairlead.serve.metrics.counters import Reading, Series

PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_TYPES = {"least": "gauge"}
_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)")


def content_type_of(accept: bytes) -> bytes:
    """The format for an ``Accept`` header: OpenMetrics if it is wanted as much as plain text, or more.

    >>> content_type_of(b"application/openmetrics-text; version=1.0.0; q=0.6, text/plain; version=0.0.4; q=0.3")
    b'application/openmetrics-text; version=1.0.0; charset=utf-8'
    >>> content_type_of(b"text/html, */*") == content_type_of(b"") == PROMETHEUS
    True
    """
    wanted = plain = 0.0
    for part in accept.decode("latin-1").lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        if name == "application/openmetrics-text" and _is_version_1(parameters):
            wanted = max(wanted, _quality(parameters))
        elif name in ("text/plain", "text/*"):
            plain = max(plain, _quality(parameters))
    return OPENMETRICS if wanted and wanted >= plain else PROMETHEUS


def _is_version_1(parameters: Iterable[str]) -> bool:
    stated = [value for value in parameters if value.startswith("version=")]
    return not stated or stated == ["version=1.0.0"]


def _quality(parameters: Iterable[str]) -> float:
    found = (_QUALITY.fullmatch(value) for value in parameters)
    return next((float(match[1]) for match in found if match), 1.0)


def text_of(readings: Iterable[Reading], constant: str, content_type: bytes = PROMETHEUS) -> bytes:
    """All series, sorted by name and labels.

    Args:
        readings: One a series.
        constant: Rendered labels that every series gets but those called ``process_…``, which client libraries
            of all languages have without labels.
        content_type: Which format: ``PROMETHEUS`` or ``OPENMETRICS``.
    """
    is_open = content_type == OPENMETRICS
    lines: list[str] = []
    for name, group in groupby(
        sorted(readings, key=lambda reading: reading.key), key=lambda one: one.series.name
    ):
        family = list(group)
        lines += _head(family[0].series, is_open=is_open)
        outer = "" if name.startswith("process_") else constant
        for reading in family:
            lines += _samples(reading, outer, is_open=is_open)
    if is_open:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode()


def _head(series: Series, *, is_open: bool) -> Iterator[str]:
    kind = _TYPES.get(series.kind, series.kind)
    name, says = series.name, series.help.replace("\\", "\\\\").replace("\n", "\\n")
    if is_open:
        name, says = _family(series), says.replace('"', '\\"')
    elif kind == "info":
        kind = "gauge"
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"


def _family(series: Series) -> str:
    """The name without the suffix that OpenMetrics gives to the samples of its kind."""
    suffix = {"counter": "_total", "info": "_info"}.get(series.kind, "")
    return series.name.removesuffix(suffix)


def _samples(reading: Reading, constant: str, *, is_open: bool) -> Iterator[str]:
    series = reading.series
    labels = _joined(constant, series.labels)
    if series.kind == "histogram":
        yield from _histogram(reading, labels)
    else:
        yield f"{series.name}{_braced(labels)} {_number(reading.value)}"
    if is_open and series.kind in ("counter", "histogram"):
        yield f"{_family(series)}_created{_braced(labels)} {reading.created:.3f}"


def _histogram(reading: Reading, labels: str) -> Iterator[str]:
    """Buckets hold all that is below their edge. Their last is the count, so the two never disagree."""
    name, count = reading.series.name, 0.0
    for edge in sorted(reading.buckets):
        count += reading.buckets[edge]
        bound = f'le="{repr(edge) if edge != float("inf") else "+Inf"}"'
        yield f"{name}_bucket{_braced(_joined(labels, bound))} {_number(count)}"
    if not reading.series.signed:
        yield f"{name}_sum{_braced(labels)} {_number(reading.value)}"
        yield f"{name}_count{_braced(labels)} {_number(count)}"


def _joined(one: str, other: str) -> str:
    return f"{one},{other}" if one and other else one or other


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _number(value: float) -> str:
    """Whole numbers without a fraction.

    >>> _number(3.0), _number(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if value.is_integer() else repr(value)
