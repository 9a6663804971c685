"""``fairlead release``: what a person is shown of a journal, and what is left for the driver."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairlead.adapters.local_objects import NAMESPACE
from fairlead.cli.release import bar, one_line, status_of
from fairlead.local.serving import LocalRelease
from fairlead.release import names
from fairlead.release.journal import Journal, Phase, Release, Said, Shift, Stamp, What, Window

NOW = 1_795_346_000.0
ROOT = Path(__file__).resolve().parents[3]


def stamp(revision: str) -> Stamp:
    return Stamp(revision=revision, template={"metadata": {"labels": {}}})


SETTLED = Journal(live="blue", slots={"blue": stamp("one"), "green": stamp("two")}).noted(
    NOW - 60, What.SWITCHED, "blue", "one", "scored: 3 of 3 rows"
)
SAID = Said(action="hold", reasons=("113 of 200 candidate units",), forecast="promote: 2 looks")
SHIFTING = SETTLED.but(
    release=Release(
        slot="green", revision="two", phase=Phase.SHIFTING, started=NOW - 30, since=NOW - 30, replicas=1,
        shift=Shift(steps=(10.0, 50.0), since=NOW - 20, looks=4, said=SAID),
    )
)  # fmt: skip
LINES = {
    "nothing yet": (Journal(), "nothing is live"),
    "settled": (SETTLED, "one is live in slot blue"),
    "shifting": (SHIFTING, "one is live in slot blue; two is shifting at 10 % in slot green (hold: 113 of 200 candidate units)"),
    "held": (
        SETTLED.but(release=Release(slot="green", revision="two", phase=Phase.STARTING, started=NOW, since=NOW, replicas=1,
                                    held="no room")),
        "one is live in slot blue; two is starting in slot green, held: no room"),
}  # fmt: skip


@pytest.mark.parametrize(("journal", "line"), LINES.values(), ids=LINES)
def test_a_journal_in_one_line(journal: Journal, line: str) -> None:
    assert one_line(journal) == line


def test_a_bar_is_as_long_as_its_width() -> None:
    assert [len(bar(weight)) for weight in (0.0, 33.3, 100.0)] == [40] * 3


@pytest.fixture
def release(tmp_path: Path) -> LocalRelease:
    """A release of a copy of an example, with a journal."""
    project = tmp_path / "fraud"
    shutil.copytree(ROOT / "examples" / "fraud", project)
    found = LocalRelease(project / ".fairlead" / "serving", "fraud")
    found.cluster.put(
        {
            "kind": "ConfigMap",
            "metadata": {"name": "fraud-policy", "labels": {names.ROLE: "policy"}},
            "data": {},
        }
    )
    write(found, SHIFTING)
    return found


def write(release: LocalRelease, journal: Journal) -> None:
    release.cluster.put(
        {
            "kind": "ConfigMap",
            "metadata": {"name": "fraud-release"},
            "data": {"journal.json": journal.to_json()},
        }
    )


def fairlead(release: LocalRelease, *words: str) -> subprocess.CompletedProcess[str]:
    project = release.folder.parent.parent
    command = [sys.executable, "-m", "fairlead.cli.main", "release", *words, "-C", str(project)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_status_shows_weight_verdict_forecast_and_history(release: LocalRelease) -> None:
    said = fairlead(release, "status")
    assert said.returncode == 0, said.stderr
    for part in ("10 %, step 1 of 2, look 4", "hold: 113 of 200 candidate units", "expected: promote: 2 looks",
                 "one  switched: scored: 3 of 3 rows", "the driver does not run"):  # fmt: skip
        assert part in said.stdout


def test_status_names_a_driver_that_has_gone_silent(release: LocalRelease) -> None:
    (release.folder / "serving.json").write_text(json.dumps({"at": NOW - 90, "url": "http://127.0.0.1:1"}))
    assert "has said nothing for 90 s" in status_of(release, NOW)[0]


def test_status_tells_how_long_one_can_go_back(release: LocalRelease) -> None:
    write(release, SETTLED.but(window=Window(slot="green", since=NOW, until=NOW + 42, replicas=1)))
    assert any("two stays warm for 42 s" in line for line in status_of(release, NOW))


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_a_command_is_left_for_the_driver_with_who_and_why(release: LocalRelease, verb: str) -> None:
    done = fairlead(release, verb, "--why", "lunch", "--by", "eve")
    assert done.returncode == 0, done.stderr
    (policy,) = release.cluster.find("ConfigMap", NAMESPACE, f"{names.ROLE}=policy")
    left = json.loads(policy["metadata"]["annotations"][names.COMMAND])
    assert (left["verb"], left["who"], left["why"], left["guard"]) == (verb, "eve", "lunch", "")
    assert abs(float(left["id"]) - time.time()) < 60


def test_an_acknowledgement_names_the_guard(release: LocalRelease) -> None:
    assert fairlead(release, "acknowledge", "predictions", "--why", "meant so").returncode == 0
    (policy,) = release.cluster.find("ConfigMap", NAMESPACE, f"{names.ROLE}=policy")
    assert json.loads(policy["metadata"]["annotations"][names.COMMAND])["guard"] == "predictions"


def test_explain_shows_every_guard_at_every_look(release: LocalRelease) -> None:
    guard = {
        "name": "errors",
        "x_c": 3.0,
        "n_c": 40.0,
        "x_s": 1.0,
        "n_s": 400.0,
        "log_abort": 2.5,
        "log_promote": None,
    }
    look = {
        "at": NOW,
        "started": NOW - 30,
        "revision": "two",
        "weight": 10.0,
        "verdict": {"action": "hold", "guards": [guard]},
    }
    release.keep("local", "fraud", look)
    said = fairlead(release, "explain").stdout
    for part in ("errors", "3/40", "1/400", "2.50", "hold"):
        assert part in said


def test_where_nothing_was_served_the_way_out_is_named(release: LocalRelease) -> None:
    release.cluster.remove("ConfigMap", "fraud-release")
    said = fairlead(release, "status")
    assert (said.returncode, "fairlead serve --releases" in said.stderr) == (9, True)
