"""The ``fairlead`` command: its verbs, and how errors reach a person."""

from __future__ import annotations

import atexit
import os
import sys

import typer

from fairlead.cli import (
    bench,
    bundle,
    check,
    compile,  # noqa: A004
    data,
    demo,
    driver,
    init,
    log,
    models,
    plan,
    push,
    release,
    run,
    runs,
    serve,
)
from fairlead.errors import FairleadError, ServiceError

app = typer.Typer(
    name="fairlead",
    help="Lead a machine-learning model from data to production traffic, and keep it there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=(
        "Exit codes: 0 done; 1 failed; 2 project file, contract or argument; 3 data; 4 training; 5 a gate was missed; "
        "6 export; 7 a digest does not match; 8 MLflow, a database, a port or a disk; 9 not found; 130 interrupted."
    ),
)

for verb in (init, check, plan, run, serve, demo, push, compile, runs, driver):
    app.command(verb.NAME, epilog=verb.EXAMPLES)(verb.command)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(bundle.app, name="bundle")
app.add_typer(log.app, name="log")
app.add_typer(bench.app, name="bench")
app.add_typer(release.app, name="release")


def main() -> None:
    """Run the command line; an error of ours, or of a file system, is one message and an exit code by its kind."""
    try:
        app()
    except FairleadError as error:
        print(f"error: {error.message}", file=sys.stderr)  # noqa: T201
        if error.hint:
            print(f"  → {error.hint}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is None:  # not about a file or a folder of the caller's: a bug
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(ServiceError.exit_code)
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was kept. Run again to go on.", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def entry() -> None:
    """Run :func:`main` as a process of its own, and leave without tearing the interpreter down.

    After a run MLflow, kfp and pyarrow are loaded here; destroying them one by one takes two seconds that nobody needs.
    """
    code: int | str | None = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, str):
        print(code, file=sys.stderr)  # noqa: T201
    atexit._run_exitfuncs()  # noqa: SLF001 - temporary folders are removed and logs are flushed here
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    entry()
