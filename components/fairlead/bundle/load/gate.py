"""The load test as the bundle stage runs it: measured if the project asks, kept beside the bundle, judged."""

from __future__ import annotations

from pathlib import Path

from fairlead.atomic import write_text
from fairlead.bundle.load.capacity import Capacity, Prices, judge
from fairlead.bundle.load.measure import Judged, Timing, measure
from fairlead.bundle.verify import CAPACITY
from fairlead.errors import GateFailed, IntegrityError
from fairlead.records import Bundle, Progress, StartUnderLoad
from fairlead.spec.serve import Serve


def load_gate(serve: Serve, bundle: Bundle, start: StartUnderLoad, progress: Progress) -> Capacity | None:
    """Measure *bundle* as ``serve.capacity`` asks, and let it pass or not.

    A bundle that was measured for the same objective and load is not measured again: it may come from the store.

    Args:
        serve: The project's section.
        bundle: Complete, in its folder; ``attestations/capacity.json`` is written there.
        start: Serves it.
        progress: What a person watching sees.

    Returns:
        What was found; None if the project does not ask.

    Raises:
        GateFailed: A pod answers fewer requests a second than the project asks for, or it could not be measured.
        ServiceError: The server or the generator died.
    """
    asked = serve.capacity
    if asked is None:
        return None
    file = Path(bundle.path) / CAPACITY
    found = _kept(file, serve)
    if found is None:
        with start(Path(bundle.path)) as target:
            found = measure(
                target,
                bundle.digest,
                Timing(serve.objective.p99_ms, asked.seconds),
                lambda judged: progress.note(_line(judged)),
                expected_rate=asked.expected_rate,
                prices=Prices(asked.price_core_hour, asked.price_gib_hour),
            )
        write_text(file, found.to_json())
    result = judge(found, asked.at_least)
    progress.note(f"load: {result.gate}: {result.outcome.value}, {result.reason}")
    if not result.outcome.lets_through:
        raise GateFailed(
            f"the load gate {result.outcome.value}: {result.gate}; measured: {result.reason}",
            hint="Lower serve.capacity.at_least, allow more time in serve.objective, or choose a smaller model.",
        )
    return found


def _kept(file: Path, serve: Serve) -> Capacity | None:
    """What was found before, if it was asked the same and had an answer."""
    try:
        found = Capacity.from_json(file.read_bytes())
    except (OSError, IntegrityError):
        return None
    expected = None if serve.capacity is None else serve.capacity.expected_rate
    same = (found.objective_ms, found.expected_rate) == (serve.objective.p99_ms, expected)
    return found if same and found.outcome != "unknown" else None


def _line(judged: Judged) -> str:
    return f"load: {judged.rate:,.0f} requests a second {judged.verdict.value}, p99 {judged.p99.value * 1000:.1f} ms"
