"""What the pods of both slots have counted, and what came since: Prometheus text to a look. Pure.

Only scoring counts, and only traffic: ``route="live"`` leaves out copies and trials. Bad are answers of 500 and above, and 422: a
candidate whose schema no longer fits its callers refuses their rows, and rows that are wrong by themselves are refused by both.
Other refusals (credentials, rates, sizes) say nothing about a version and are no units.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fairlead.release.judge.counters import Increments, ProcessId, Reading, increments
from fairlead.release.judge.latency import slow_of
from fairlead.release.judge.windows import Bins, Look, Window

SCORING = frozenset({"/predict", "/v2/models/{name}/infer", "grpc ModelInfer"})
"""Endpoints whose answers are predictions."""
UNPROCESSABLE = 422

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Arm:
    """The counters of one slot's pods at one time."""

    at: float
    """Seconds since 1970."""
    answers: Mapping[ProcessId, Sequence[float]] = field(default_factory=dict)
    """Units and bad ones."""
    seconds: Mapping[ProcessId, Sequence[float]] = field(default_factory=dict)
    """Cumulative buckets of successful answers, the last one all of them."""
    bins: Mapping[ProcessId, Sequence[float]] = field(default_factory=dict)
    """Predictions by label, or by bin of the score."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of seconds, the last one infinite."""
    problem: str = ""
    """Why some pod could not be read; then nothing is known of the arm."""

    def part(self, name: str) -> Reading:
        """One kind of counters."""
        return Reading(self.at, getattr(self, name))


def arm_of(texts: Mapping[str, str], at: float) -> Arm:
    r"""The scrapes of an arm's pods, by pod name, read at *at*.

    >>> text = 'process_start_time_seconds 5\nfairlead_pod_info{pod_uid="u"} 1\n'
    >>> text += 'fairlead_requests_total{endpoint="/predict",route="live",code="200"} 7\n'
    >>> arm_of({"fraud-0": text}, 60.0).answers
    {('u', 5.0): (7.0, 0.0)}
    """
    arm = Arm(at, {}, {}, {})
    bounds: set[tuple[float, ...]] = set()
    for pod, text in sorted(texts.items()):
        scrape = _Scrape.of(text)
        if scrape.started is None:
            return Arm(at, problem=f"pod {pod} says no process_start_time_seconds")
        who = (scrape.uid or pod, scrape.started)
        arm.answers[who] = scrape.answers()  # type: ignore[index]  # being built
        arm.bins[who] = scrape.bins()  # type: ignore[index]
        if scrape.seconds:
            ordered = sorted(scrape.seconds.items())
            bounds.add(tuple(bound for bound, _ in ordered))
            arm.seconds[who] = tuple(count for _, count in ordered)  # type: ignore[index]
    if len(bounds) > 1:
        return Arm(at, problem="the pods' histograms have different bounds")
    return Arm(at, arm.answers, arm.seconds, arm.bins, next(iter(bounds), ()))


def look_between(before: Mapping[str, Arm], after: Mapping[str, Arm], *, candidate: str, stable: str,
                 weight: float, slow_above: float | None) -> Look:  # fmt: skip
    """What both arms did between two readings.

    Args:
        before: Slot to its arm, at the end of the look before.
        after: The same now.
        candidate: Slot of the candidate.
        stable: Slot of the version it is compared with.
        weight: Share of traffic asked for the candidate, 0 to 1.
        slow_above: Bound of the histogram in seconds; None where slow answers are not judged.
    """
    now, then = after[candidate].at, before[candidate].at
    problem = next((arm.problem for arm in (*before.values(), *after.values()) if arm.problem), "")
    grown = {
        slot: {part: increments(before[slot].part(part), after[slot].part(part)) for part in ("answers", "seconds", "bins")}
        for slot in (candidate, stable)
    }  # fmt: skip
    problem = problem or next(
        (part.problem for each in grown.values() for part in each.values() if part.problem), ""
    )
    if problem:
        return Look(now, max(0.0, now - then), weight, problem=problem)
    c, s = grown[candidate], grown[stable]
    return Look(
        now,
        now - then,
        weight,
        errors=Window(*_counts(c["answers"]), *_counts(s["answers"]), now - then, weight),
        latency=_latency(
            after, candidate, stable, c["seconds"], s["seconds"], now - then, weight, slow_above
        ),
        predictions=_bins(c["bins"], s["bins"]),
    )


def _counts(grown: Increments) -> tuple[float, float]:
    return (grown.values[0], grown.values[1]) if grown.values else (0.0, 0.0)


def _latency(after: Mapping[str, Arm], candidate: str, stable: str, c: Increments, s: Increments,
             seconds: float, weight: float, slow_above: float | None) -> Window | None:  # fmt: skip
    """Slow answers; None where they are not judged, or an arm has no such bound."""
    bounds = (after[candidate].bounds, after[stable].bounds)
    if slow_above is None or not all(slow_above in each for each in bounds):
        return None
    both = (
        slow_of(each, grown.values, slow_above) if grown.values else (0.0, 0.0)
        for each, grown in zip(bounds, (c, s), strict=True)
    )
    (n_c, x_c), (n_s, x_s) = both
    return Window(n_c, x_c, n_s, x_s, seconds, weight)


def _bins(c: Increments, s: Increments) -> Bins | None:
    if not c.values or not s.values or len(c.values) != len(s.values):
        return None
    return Bins(c.values, s.values)


@dataclass(slots=True)
class _Scrape:
    """One pod's text, as far as it matters here."""

    uid: str = ""
    started: float | None = None
    codes: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    seconds: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    labels: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    scores: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @classmethod
    def of(cls, text: str) -> _Scrape:
        scrape = cls()
        for name, labels, value in samples(text.splitlines()):
            scrape.take(name, labels, value)
        return scrape

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """One sample."""
        if name == "process_start_time_seconds":
            self.started = value
        elif name == "fairlead_pod_info":
            self.uid = labels.get("pod_uid", "")
        elif labels.get("route") != "live":
            return
        elif name == "fairlead_requests_total" and labels["endpoint"] in SCORING:
            self.codes[int(labels["code"])] += value
        elif name == "fairlead_request_seconds_bucket" and labels["endpoint"] in SCORING:
            self.seconds[float(labels["le"])] += value
        elif name == "fairlead_predicted_labels_total":
            self.labels[labels["label"]] += value
        elif name == "fairlead_prediction_bucket":
            self.scores[float(labels["le"])] += value

    def answers(self) -> tuple[float, float]:
        """Units and bad ones."""
        bad = sum((count for code, count in self.codes.items() if code >= 500 or code == UNPROCESSABLE), 0.0)
        good = sum((count for code, count in self.codes.items() if code < 400), 0.0)
        return good + bad, bad

    def bins(self) -> tuple[float, ...]:
        """Counts by label, where there are labels; else by bin of the score."""
        if self.labels:
            return tuple(count for _, count in sorted(self.labels.items()))
        cumulative = [count for _, count in sorted(self.scores.items())]
        return tuple(upper - lower for lower, upper in zip([0.0, *cumulative], cumulative, strict=False))


def samples(lines: Iterable[str]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    r"""Name, labels and value of each sample of Prometheus text; what is none is left out.

    >>> list(samples(['# HELP a b', 'a{b="c\\"d"} 1.5', "nonsense"]))
    [('a', {'b': 'c"d'}, 1.5)]
    """
    for line in lines:
        found = None if line.startswith("#") else _SAMPLE.fullmatch(line)
        if found is None:
            continue
        value = _number(found["value"])
        if value is not None:
            labels = {key: _unescaped(text) for key, text in _LABEL.findall(found["labels"] or "")}
            yield found["name"], labels, value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\[\\n\"]", lambda found: _ESCAPED[found[0]], text)
