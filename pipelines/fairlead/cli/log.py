"""``fairlead log``: the prediction log, from the pods' disks to tables that last."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairlead.cli.show import say, table

if TYPE_CHECKING:
    from fairlead.monitor.partitions import Sizes
    from fairlead.monitor.segments import Gap
    from fairlead.monitor.summary import Summary
    from fairlead.monitor.target import Target

app = typer.Typer(help="The prediction log: ship it, look at it, delete from it.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

Where = Annotated[str, typer.Argument(metavar="TARGET", help="A folder or s3://bucket/prefix.")]
Folder = Annotated[Path, typer.Argument(help="Where the server writes: FAIRLEAD_LOG_FOLDER.")]


@app.command("ship", epilog="Example:  fairlead log ship /var/log/fairlead s3://logs/fraud --keep-days 90")
def ship(
    folder: Folder,
    target: Where,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 15.0,
    once: Annotated[bool, typer.Option("--once", help="Ship all that is finished, and end.")] = False,
    keep_days: Annotated[
        float, typer.Option(min=0, help="Delete from the target what is older; 0: nothing.")
    ] = 0,
    megabytes: Annotated[
        float, typer.Option(min=0.001, help="Ship when so many MB of lines are finished,")
    ] = 32,
    age: Annotated[float, typer.Option(min=0, help="or when the oldest is so many seconds old.")] = 300.0,
    grace: Annotated[
        float, typer.Option(min=0, help="After SIGTERM wait so many seconds for servers to end.")
    ] = 20.0,
) -> None:
    """Turn finished segments into Parquet files of TARGET, each record once, and delete them here.

    Runs until SIGTERM or SIGINT, then waits for the servers that write to FOLDER, ships what they finished, and ends. May be
    killed at any moment. S3 is reached by
    AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    from fairlead.adapters.trees import open_tree
    from fairlead.cli.driver import stopped_by_signals
    from fairlead.monitor.partitions import Sizes

    tree, sizes = open_tree(target), Sizes(bytes=int(megabytes * 2**20), seconds=age)
    if once:
        ship_now(folder, tree, sizes, everything=True)
        delete_old(tree, keep_days)
        return
    wait = stopped_by_signals()
    ship_until(wait, every, lambda: ship_now(folder, tree, sizes), lambda: delete_old(tree, keep_days))
    wait_for_writers(folder, grace)
    ship_now(folder, tree, sizes, everything=True)


def ship_now(folder: Path, target: Target, sizes: Sizes, *, everything: bool = False) -> None:
    """Ship what is due, and say what was shipped."""
    from fairlead.cli.driver import say as log
    from fairlead.monitor.shipping import ship as shipping

    for batch in shipping(folder, target, sizes, time.time(), everything=everything):
        log("shipped", segments=batch.segments, records=batch.records, torn=batch.torn, files=len(batch.files),
            bytes=batch.bytes)  # fmt: skip


RETENTION_SECONDS = 3600.0
"""Between two looks for what is too old: a whole hour is deleted at once."""


def ship_until(
    wait: Callable[[float], bool], every: float, shipping: Callable[[], None], retention: Callable[[], None]
) -> None:
    """Ship, and delete what is old, until *wait* says stop. A target that is away is asked again."""
    from fairlead.cli.driver import say as log
    from fairlead.errors import ServiceError

    due = 0.0
    while True:
        try:
            shipping()
            if time.monotonic() >= due:
                retention()
                due = time.monotonic() + RETENTION_SECONDS
        except (ServiceError, OSError) as error:
            log("not shipped", level="error", error=str(error))
        if wait(every):
            return


def delete_old(target: Target, keep_days: float) -> None:
    """Delete what is older than *keep_days*; 0: nothing."""
    from fairlead.cli.driver import say as log
    from fairlead.monitor.deletion import delete_expired

    if keep_days and (deleted := delete_expired(target, time.time(), keep_days)):
        log("deleted old files", files=deleted, days=keep_days)


def wait_for_writers(folder: Path, seconds: float) -> None:
    """Wait until no server writes to *folder*: a pod's containers are told to end at the same time."""
    from fairlead.serve.log.files import writers

    until = time.monotonic() + seconds
    while time.monotonic() < until and writers(folder):
        time.sleep(0.1)


@app.command("show", epilog="Example:  fairlead log show s3://logs/fraud --days 7")
def show(
    target: Where,
    days: Annotated[float, typer.Option(min=0, help="How far to look back.", show_default="all")] = 0,
) -> None:
    """Show what a log holds: requests and rates, gaps where records were lost, how many predictions have a label."""
    from fairlead.adapters.trees import open_tree
    from fairlead.monitor.summary import summarize

    summary = summarize(open_tree(target), time.time() - days * 86400.0 if days else 0.0)
    if not summary.files:
        say(f"{target} holds no log" + (f" of the last {days:g} days" if days else ""))
        return
    show_traffic(summary)
    say(
        f"{summary.rows['feedback']} labels for {summary.labelled_rows} rows; {summary.rows['pairs']} pairs with a shadow"
    )
    show_gaps(summary)


def show_traffic(summary: Summary) -> None:
    """Print a line a bundle."""
    table(
        "predictions",
        ("slot", "bundle", "route", "requests", "rows", "a second", "from (UTC)", "to (UTC)", "labelled"),
        [
            (slot, bundle[:16], route, found.requests, found.rows, found.rate, _utc(found.first), _utc(found.last),
             f"{found.labelled / found.rows:.1%}")
            for (slot, bundle, route), found in sorted(summary.traffic.items())
        ],
    )  # fmt: skip


def show_gaps(summary: Summary) -> None:
    """Print what was lost, by worker."""
    lost = sum(gap.records for gap in summary.gaps)
    if lost:
        table("lost records", ("pod", "worker", "first", "last", "records"), [
            (gap.pod, gap.epoch, gap.first, gap.last, gap.records) for gap in _longest(summary.gaps)
        ])  # fmt: skip
    say(f"{lost} records lost in {len(summary.gaps)} gaps")
    if summary.open_ends:
        say(f"{len(summary.open_ends)} workers without an end: they run, or their disk is gone")


def _longest(gaps: list[Gap], shown: int = 20) -> list[Gap]:
    return sorted(gaps, key=lambda gap: -gap.records)[:shown]


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@app.command("forget", epilog="Example:  fairlead log forget s3://logs/fraud --subject 4711 --salt-file salt")
def forget(
    target: Where,
    subject: Annotated[
        str, typer.Option(help="The person: a value of the field that serve.log.subject names.")
    ],
    salt_file: Annotated[
        list[Path], typer.Option(help="What FAIRLEAD_LOG_SALT_FILE named; again for each older salt.")
    ],
) -> None:
    """Delete all rows of a person: predictions with inputs, their labels and their pairs.

    Segments that wait to be shipped come in later: run it again after `fairlead log ship` had its time.
    """
    from fairlead.adapters.trees import open_tree
    from fairlead.monitor.deletion import forget as deletion
    from fairlead.serve.log.privacy import checked_salt, subject_hasher

    hashes = [subject_hasher(checked_salt(path.read_bytes(), str(path)))(subject) for path in salt_file]
    done = deletion(open_tree(target), hashes)
    say(
        f"removed {done.rows['predictions']} predictions, {done.rows['feedback']} labels and {done.rows['pairs']} pairs "
        f"from {done.files} files"
    )
