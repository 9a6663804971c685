"""What a run left behind, as a person wants to see it: gates and pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.cli.show import number, say, table


def show_gates(folder: Path) -> None:
    """Print the gate table of a run, if it came as far as judging gates."""
    candidate = candidate_of(folder)
    if not candidate:
        return
    say(f"best candidate: {candidate['name']} {_shown(candidate['parameters'])}")
    if candidate["gates"]:
        table("gates", ("gate", "outcome", "measured", "bar"), [
            (gate["gate"], gate["outcome"], _figure(gate["measured"]), _figure(gate["bar"]))
            for gate in candidate["gates"]
        ])  # fmt: skip


def candidate_of(folder: Path) -> dict[str, Any]:
    """The record of a run's candidate; empty if the run did not come so far."""
    for found in folder.glob("fairlead-training-*/model/candidate/candidate.json"):
        return dict(json.loads(found.read_text(encoding="utf-8")))
    return {}


def say_pages(folder: Path) -> None:
    """Print where the pages for people are."""
    for page in sorted((folder / "pages").glob("*.html")):
        say(f"page:    {page}")


def _shown(parameters: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name}={number(value) if isinstance(value, float) else value}" for name, value in parameters.items()
    )


def _figure(value: float | None) -> float | str:
    return "" if value is None else value
