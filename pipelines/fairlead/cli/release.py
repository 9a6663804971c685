"""``fairlead release``: lead a version to live traffic on this machine, watch it, and say what to do."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say, table

if TYPE_CHECKING:
    from fairlead.local.serving import Candidate, LocalRelease
    from fairlead.release.journal import Journal

app = typer.Typer(
    help="Releases on this machine. On a cluster, `helm upgrade` starts one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Why = Annotated[str, typer.Option(help="The reason; written down.")]
By = Annotated[str, typer.Option(help="Who says so.", show_default="your user name")]


@app.command("start", epilog="Examples:  fairlead release start   |   fairlead release start 4")
def start(
    which: Annotated[
        str, typer.Argument(help="Version number, alias, or first digits of a digest.")
    ] = "challenger",
    project: ProjectFolder = Path(),
    give_up_rollback: Annotated[
        bool, typer.Option("--give-up-rollback", help="Start although the version before is still warm.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Try a version again that failed or was taken back.")
    ] = False,
) -> None:
    """Release a registered version: through the idle slot, by the plan in the project file."""
    from fairlead.errors import ProjectError

    place = place_of(project)
    release = release_of(place)
    journal = release.journal()
    if journal.window is not None and not give_up_rollback and not _is_warm(place, journal, which):
        left = max(0.0, journal.window.until - time.time())
        raise ProjectError(
            f"{journal.slots[journal.window.slot].revision} is kept warm for {left:.0f} s more, so that one can go back at once",
            hint="Wait, or start all the same with --give-up-rollback.",
        )
    candidate = candidate_of(place, which)
    release.desire(candidate)
    if again:
        release.retry()
    say(f"{candidate.revision} is desired; `fairlead release watch` shows how it gets on")


@app.command("status", epilog="Example:  fairlead release status")
def status(project: ProjectFolder = Path()) -> None:
    """Show what is live, the release under way, its evidence, and who said what."""
    release = release_of(place_of(project))
    for line in status_of(release, time.time()):
        say(line)


@app.command("watch", epilog="Example:  fairlead release watch")
def watch(
    project: ProjectFolder = Path(),
    seconds: Annotated[float, typer.Option(min=1, help="Give up after so long.")] = 86_400.0,
) -> None:
    """Follow the release under way until it has ended."""
    release = release_of(place_of(project))
    shown: list[str] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        journal = release.journal()
        if (line := one_line(journal)) not in shown[-1:]:
            shown.append(line)
            say(line)
        if journal.release is None and release.desired() in (journal.live_revision(), _failed(journal)):
            say(_latest(journal))
            return
        time.sleep(0.5)


def _told(verb: str, says: str, example: str) -> None:
    """Make the command of one verb that the driver obeys."""

    def command(project: ProjectFolder = Path(), why: Why = "", by: By = "") -> None:
        release = release_of(place_of(project))
        release.journal()
        release.tell(verb, who=by or getpass.getuser(), why=why)
        say(f"{verb}: left for the driver")

    command.__doc__ = says
    app.command(verb, epilog=f"Example:  fairlead release {example}")(command)


_told("pause", "Take no next step; the judge goes on, and may end the release.", "pause --why 'lunch'")
_told("resume", "Go on after a pause.", "resume")
_told("promote", "Go one step on without the judge's proof.", "promote --why 'accepted by payments-risk'")
_told("abort", "Give all traffic back to the live version.", "abort --why 'customers complain'")


@app.command("acknowledge", epilog="Example:  fairlead release acknowledge predictions --why 'meant so'")
def acknowledge(
    guard: Annotated[str, typer.Argument(help="The guard, as `status` names it.")],
    project: ProjectFolder = Path(),
    why: Why = "",
    by: By = "",
) -> None:
    """Accept what a guard holds the release for."""
    release = release_of(place_of(project))
    release.journal()
    release.tell("acknowledge", who=by or getpass.getuser(), why=why, guard=guard)
    say(f"acknowledge {guard}: left for the driver")


@app.command("history", epilog="Example:  fairlead release history")
def history(project: ProjectFolder = Path()) -> None:
    """List what has happened, oldest first."""
    journal = release_of(place_of(project)).journal()
    rows = [
        (_time(outcome.at), outcome.what.value, outcome.revision, outcome.slot, outcome.why)
        for outcome in journal.outcomes
    ]
    table("history", ("when (UTC)", "what", "revision", "slot", "why"), rows)


@app.command("explain", epilog="Example:  fairlead release explain")
def explain(project: ProjectFolder = Path()) -> None:
    """Show what every guard made of the newest release at each look."""
    looks = release_of(place_of(project)).looks()
    rows = [
        (
            _time(look["at"])[11:], f"{look['weight']:g} %", guard["name"],
            f"{guard['x_c']:g}/{guard['n_c']:g}", f"{guard['x_s']:g}/{guard['n_s']:g}",
            _evidence(guard["log_abort"]), _evidence(guard["log_promote"]), look["verdict"]["action"],
        )
        for look in looks for guard in look["verdict"]["guards"]
    ]  # fmt: skip
    columns = ("UTC", "weight", "guard", "candidate", "stable", "worse", "good", "verdict")
    table(
        "looks: bad of all answers of either version; log E for worse and for good, 3.00 is a proof",
        columns,
        rows,
    )


# -------------------------------------------------------------------------------------------------- in words


def release_of(place: Place) -> LocalRelease:
    """The releases of the project in this folder."""
    from fairlead.local.serving import LocalRelease

    return LocalRelease(place.state / "serving", place.project().name)


def candidate_of(place: Place, which: str) -> Candidate:
    """A registered version as a candidate, its bundle verified."""
    from fairlead.bundle.verify import verify
    from fairlead.local.serving import Candidate

    found = place.registry().find(place.project().name, which)
    folder = place.bundle(found.digest, found.uri)
    verify(folder)
    return Candidate(found.digest, folder)


def status_of(release: LocalRelease, now: float) -> list[str]:
    """What there is to know, line by line."""
    from fairlead.local.serving import STALE_SECONDS

    journal, beat = release.journal(), release.heartbeat()
    lines = []
    if beat is None:
        lines.append("nothing is served: the driver does not run (fairlead serve --releases)")
    elif now - beat["at"] > STALE_SECONDS:
        lines.append(f"the driver has said nothing for {now - beat['at']:.0f} s: what follows may be old")
    else:
        lines.append(f"served at {beat['url']}")
    lines.append(one_line(journal))
    shift = journal.release.shift if journal.release else None
    if shift is not None:
        lines += [
            f"  {bar(shift.weight)} {shift.weight:g} %, step {shift.step + 1} of {len(shift.steps)}, look {shift.looks}"
        ]
        lines += [f"  paused: {shift.paused}"] if shift.paused else []
        if shift.said is not None:
            lines += [f"  {shift.said.action}: {reason}" for reason in shift.said.reasons]
            lines += [f"  expected: {shift.said.forecast}"] if shift.said.forecast else []
    if journal.window is not None:
        warm = journal.slots[journal.window.slot].revision
        lines.append(
            f"{warm} stays warm for {max(0.0, journal.window.until - now):.0f} s: `fairlead release start {warm}` goes back"
        )
    return [
        *lines,
        *(
            f"{_time(outcome.at)}  {outcome.revision}  {outcome.what.value}: {outcome.why}"
            for outcome in journal.outcomes[-5:]
        ),
    ]


def one_line(journal: Journal) -> str:
    """What is live, and what is on its way.

    >>> from fairlead.release.journal import Journal
    >>> one_line(Journal())
    'nothing is live'
    """
    live = f"{journal.live_revision()} is live in slot {journal.live}" if journal.live else "nothing is live"
    release = journal.release
    if release is None:
        return live
    moved = f" at {release.shift.weight:g} %" if release.shift else ""
    held = f", held: {release.held}" if release.held else ""
    said = release.shift.said if release.shift else None
    judged = f" ({said.action}: {said.reasons[0]})" if said and said.reasons else ""
    return f"{live}; {release.revision} is {release.phase.value}{moved} in slot {release.slot}{held}{judged}"


def bar(weight: float, width: int = 40) -> str:
    """A weight in percent as a bar.

    >>> bar(25.0, 8)
    '██░░░░░░'
    """
    full = round(weight / 100 * width)
    return "█" * full + "░" * (width - full)


def _is_warm(place: Place, journal: Journal, which: str) -> bool:
    """Whether *which* is the version that is kept warm."""
    assert journal.window is not None  # noqa: S101 - the caller asked
    digest = place.registry().find(place.project().name, which).digest
    return journal.slots[journal.window.slot].bundle == digest


def _failed(journal: Journal) -> str:
    return journal.failure.revision if journal.failure else ""


def _latest(journal: Journal) -> str:
    last = journal.outcomes[-1] if journal.outcomes else None
    return f"{last.revision} {last.what.value}: {last.why}" if last else "nothing has happened"


def _evidence(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
