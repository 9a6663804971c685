"""``fairlead plan``: what a run would do, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.cli.options import Place, ProjectFolder, place_of
from fairlead.cli.show import say, table

if TYPE_CHECKING:
    from fairlead.runners.planning import RunInputs
    from fairlead.spec import Contract, Project

NAME = "plan"
EXAMPLES = "Example:  fairlead plan"


def command(project: ProjectFolder = Path()) -> None:
    """Show which stages would give something new, and why, since the last run."""
    show_plan(place_of(project))


def show_plan(place: Place) -> None:
    """Print the plan of a project."""
    from fairlead.runners.planning import plan_of, read_last

    spec = place.project()
    last, now = read_last(place.state), present_inputs(place)
    steps = plan_of(last, now)
    table(f"plan for {spec.name}", ("stage", "", "why"),
          [(step.stage, "runs" if step.runs else "unchanged", step.why) for step in steps])  # fmt: skip
    search = spec.model.search
    say(
        f"search: {search.trials} trials × {search.folds} folds, {search.method}, {search.workers} worker(s); "
        f"{len(spec.model.candidates)} candidate(s) and a baseline; {len(spec.model.gates)} gate(s)"
    )
    say(log_weight(spec, place.contract(spec)))
    if last is not None and not any(step.runs for step in steps):
        say(f"a run would give bundle {last.bundle[:16]} again")


def log_weight(spec: Project, contract: Contract) -> str:
    """What the prediction log will weigh, in words; per 100 requests a second where nobody says how many there will be."""
    from fairlead.monitor.volume import volume

    rules, capacity = spec.serve.log, spec.serve.capacity
    rate = (capacity.expected_rate if capacity else None) or 100.0
    named = {name: keeping for name, keeping in (rules.inputs or {}).items() if name in contract.columns}
    kept = [contract.columns[name].type for name, keeping in named.items() if keeping == "keep"]
    hashed = sum(keeping == "hash" for keeping in named.values()) + bool(rules.subject)
    a_day = volume(rate, kept, hashed, rules.sample)
    inputs = f"{len(kept) + hashed} field(s) of input" if kept or hashed else "no inputs"
    return (
        f"prediction log, where one is kept: {a_day.parquet:.2g} GB a day at {rate:g} requests a second, with {inputs} "
        f"({a_day.lines:.2g} GB as lines, until they are shipped)"
    )


def present_inputs(place: Place) -> RunInputs:
    """Digests of the project as it is now. Reads the source's files once."""
    from fairlead.adapters.archives import read_project
    from fairlead.adapters.sources import open_source
    from fairlead.adapters.tracking import lock_digest
    from fairlead.runners.planning import code_digest, inputs_of

    spec, _contract = read_project(place.root)
    return inputs_of(
        spec.model_dump(mode="json"),
        source=open_source(spec.data.source, place.root).fingerprint(),
        contract=(place.root / spec.data.contract).read_bytes(),
        code=code_digest(place.root),
        lock=lock_digest(),
    )
