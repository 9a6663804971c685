"""``fairlead bench``: how much a bundle can do on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairlead.cli.options import ProjectFolder, place_of
from fairlead.cli.show import number, say, table

if TYPE_CHECKING:
    from fairlead.adapters.load import Loaded
    from fairlead.bundle.load.capacity import Capacity
    from fairlead.bundle.load.measure import Judged, Timing
    from fairlead.records import Bundle

app = typer.Typer(help="Measure a bundle under load.", no_args_is_help=True, rich_markup_mode=None)


@app.command(
    "serve",
    epilog="Examples:  fairlead bench serve champion --rate 5000   |   fairlead bench serve ./bundle --p99 20 --json   |   "
    "fairlead bench serve champion --check capacity.json",
)
def serve(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's folder; or number, alias or digest of a version.")
    ],
    project: ProjectFolder = Path(),
    p99: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="MS",
            help="99 of 100 requests are to be answered in this time.",
            show_default="the project's serve.objective",
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Requests a second that the deployment must answer.")
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            min=1, help="Length of the confirming round; the search takes two or three times as long."
        ),
    ] = 20.0,
    price: Annotated[
        float | None, typer.Option(min=0, metavar="CORE_HOUR", help="Price of a core, an hour.")
    ] = None,
    memory_price: Annotated[
        float | None, typer.Option(min=0, metavar="GIB_HOUR", help="Price of a GiB of memory, an hour.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the result here.", show_default="attestations/capacity.json of the bundle"),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="CAPACITY.JSON", help="Try only the rate that this file promises.")
    ] = None,
    soak: Annotated[
        float | None,
        typer.Option(
            min=0.5, metavar="MINUTES", help="Afterwards keep the promised rate up so long, and watch memory."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the highest rate at which a bundle keeps its latency, and what a deployment needs.

    Requests come at random times, whether or not earlier ones were answered, from a CPU of their own; the server has another.
    """
    from fairlead.adapters.load import serving
    from fairlead.bundle.load.capacity import Prices
    from fairlead.bundle.load.measure import Timing, measure

    folder, record = _bundle(bundle, project)
    note = _unnoted if as_json else _noted
    promised = None if check is None else _promise(check, record)
    timing = Timing(_objective(folder, p99) if promised is None else promised.objective_ms, seconds)
    with serving(folder) as target:
        if promised is not None:
            _keep(target, timing, promised, as_json=as_json)
        else:
            promised = measure(
                target, record.digest, timing, note, expected_rate=rate, prices=Prices(price, memory_price)
            )
            _write(promised, folder, out)
            say(promised.to_json().rstrip()) if as_json else _show(promised)
        if soak is not None:
            _soak(target, timing, promised, soak, as_json=as_json)


def _objective(folder: Path, asked: float | None) -> float:
    """Milliseconds: what was asked for, or what the bundle's rules say."""
    from fairlead.bundle.verify import BENTO
    from fairlead.serve.rules import read_rules

    return 1000 * read_rules(folder / BENTO / "src" / "bundle").objective_seconds if asked is None else asked


def _bundle(which: str, project: Path) -> tuple[Path, Bundle]:
    """The folder of a bundle, every file of it checked, and its record."""
    from fairlead.bundle.verify import verify

    folder = Path(which)
    if not (folder / "bundle.json").is_file():
        place = place_of(project)
        version = place.registry().find(place.project().name, which)
        folder = place.bundle(version.digest, version.uri)
    return folder, verify(folder)


def _write(found: Capacity, folder: Path, out: Path | None) -> None:
    from fairlead.atomic import write_text
    from fairlead.bundle.verify import CAPACITY

    write_text(folder / CAPACITY if out is None else out, found.to_json())


# ------------------------------------------------------------------------------------------------------- check


def _promise(file: Path, record: Bundle) -> Capacity:
    """The capacity file to check, which must be about this bundle and promise something."""
    from fairlead.bundle.load.capacity import Capacity
    from fairlead.errors import IntegrityError, NotFound, ProjectError

    try:
        promised = Capacity.from_json(file.read_bytes())
    except FileNotFoundError as cause:
        raise NotFound(
            f"{file} does not exist", hint="`fairlead bench serve` without --check makes one."
        ) from cause
    if promised.bundle != record.digest:
        raise IntegrityError(f"{file} is about bundle {promised.bundle[:16]}, this is {record.digest[:16]}")
    if promised.rate is None:
        raise ProjectError(
            f"{file} promises no rate: {promised.outcome}", hint="Measure again on a machine with less to do."
        )
    return promised


def _keep(target: Loaded, timing: Timing, promised: Capacity, *, as_json: bool) -> None:
    """Try the promised rate; GateFailed if it does not keep the objective."""
    from fairlead.bundle.load.measure import check
    from fairlead.bundle.load.search import Verdict
    from fairlead.errors import GateFailed, ServiceError

    assert promised.rate is not None  # noqa: S101 - see _promise
    tried = check(target, timing, promised.rate, _unnoted if as_json else _noted)
    if as_json:
        say(json.dumps(tried.record(), indent=1))
    if tried.verdict is Verdict.VOID:
        raise ServiceError(
            "the load generator was late each time, so nothing can be said about the server",
            hint="Try again when this machine has less to do.",
        )
    if tried.verdict is Verdict.MISSED:
        raise GateFailed(
            f"at {number(tried.rate)} requests a second the p99 is {_ms(tried.p99.value)}, surely no more than "
            f"{_ms(tried.p99.high)}; the objective is {timing.objective_ms:g} ms",
            hint="Measure again: `fairlead bench serve` without --check.",
        )
    if not as_json:
        say(f"held: {number(tried.rate)} requests a second within {timing.objective_ms:g} ms")


# -------------------------------------------------------------------------------------------------------- soak


def _soak(target: Loaded, timing: Timing, promised: Capacity, minutes: float, *, as_json: bool) -> None:
    """Keep the promised rate up; GateFailed if memory leaks."""
    from fairlead.bundle.load.measure import soak
    from fairlead.bundle.load.memory import Growth
    from fairlead.errors import GateFailed

    if promised.rate is None:
        say("no soak: there is no rate to keep up")
        return
    slope = soak(target, timing, promised.rate, minutes, _unnoted if as_json else _noted)
    said = (
        f"{slope.growth.value}: memory grows by {_mib(slope.bytes_an_hour)} MiB an hour "
        f"(95 % interval {_mib(slope.low)} to {_mib(slope.high)}, {_mib(slope.allowed)} are allowed)"
    )
    if as_json:
        say(json.dumps({"soak": slope.growth.value, "said": said}))
    else:
        say(said)
    if slope.growth is Growth.LEAK:
        raise GateFailed(said, hint="Look for what the model or its code keeps between requests.")


# -------------------------------------------------------------------------------------------------------- show


def _noted(judged: Judged) -> None:
    kind = "for longer" if judged.thorough else "try"
    say(
        f"{kind:>10}  {judged.rate:>9,.0f}/s  {judged.verdict.value:<6}  p50 {_ms(judged.p50)}  p99 {_ms(judged.p99.value)}"
        + (f"  {judged.failed} failed" if judged.failed else "")
        + (f"  generator {_ms(judged.lag)} late" if judged.verdict.value == "void" else "")
    )


def _unnoted(_: Judged) -> None:
    """Say nothing: JSON goes where this would."""


def _show(found: Capacity) -> None:
    table(f"capacity of {found.bundle[:16]}: {found.outcome}", ("", ""), _lines(found), whole_names=True)


def _lines(found: Capacity) -> Iterable[tuple[str, Any]]:
    """What people want to know, from the measurement to what follows."""
    if found.rate is None or found.highest_rate is None:
        yield "memory seen", f"{_mib(found.memory_bytes)} MiB"
        return
    yield (
        "highest rate",
        f"{found.highest_rate:,.0f} requests/s with p99 {found.p99_ms:g} ms (objective {found.objective_ms:g})",
    )
    yield "rate for a pod", f"{found.rate:,.0f} requests/s, {found.headroom:.0%} headroom"
    yield "CPU a request", f"{(found.cpu_seconds_per_request or 0) * 1e6:.0f} µs"
    yield "resources", f"requests cpu {found.cpu}, memory {found.memory}; limits memory {found.memory}"
    yield "autoscaler", f"{found.cpu_percent} % of the CPU request"
    if found.expected_rate is not None:
        yield "replicas", f"{found.replicas} for {found.expected_rate:,.0f} requests/s"
    if found.cost_per_million is not None:
        yield "cost", f"{found.cost_per_million:.4g} for a million predictions"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _mib(size: float) -> str:
    return f"{size / 2**20:.1f}"
