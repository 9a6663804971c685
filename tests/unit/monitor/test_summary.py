"""What a log is said to hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.monitor.logs import BEGIN, feedback, pair, prediction, worker, write_segment
from tests.unit.monitor.test_shipping import ALL

from fairlead.adapters.trees import FolderTree
from fairlead.monitor.segments import Gap
from fairlead.monitor.shipping import ship
from fairlead.monitor.summary import Summary, summarize
from fairlead.monitor.volume import volume


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    """Two workers in four files: one was killed at 12, of which 4 and 5 are lost; the other still runs."""
    folder, tree = tmp_path / "log", FolderTree(tmp_path / "target")
    first = [prediction(number, at=BEGIN + number, rows=2) for number in (1, 2, 3, 6, 7)]
    write_segment(folder, [worker("begin", 0), *first])
    list(ship(folder, tree, ALL, BEGIN + 1))
    later = [prediction(8, at=BEGIN + 3600), prediction(9, at=BEGIN + 3601, route="preview")]
    labels = [
        feedback(10, "18a-1-1", "yes", row=1),
        feedback(11, "18a-1-1", "no", row=1),
        feedback(12, "?", 1),
    ]
    write_segment(folder, [*later, *labels, worker("killed", 13)], at=BEGIN + 1)
    write_segment(
        folder, [prediction(5, epoch="18b-1"), pair(6, "18b-1-5") | {"epoch": "18b-1"}], epoch="18b-1"
    )
    list(ship(folder, tree, ALL, BEGIN + 1e6))
    return summarize(tree, 0.0)


def test_traffic_is_told_by_slot_bundle_and_route(summary: Summary) -> None:
    found = {key: (traffic.requests, traffic.rows) for key, traffic in summary.traffic.items()}
    assert found == {("blue", "3f3f", "live"): (7, 12), ("blue", "3f3f", "preview"): (1, 1)}


def test_gaps_go_over_files_and_kinds_of_records(summary: Summary) -> None:
    assert summary.gaps == [Gap("fraud-0", "18a-1", 4, 5), Gap("fraud-0", "18a-1", 13, 13)]


def test_a_worker_that_runs_has_an_open_end(summary: Summary) -> None:
    assert summary.open_ends == [("fraud-0", "18b-1")]


def test_a_row_with_two_labels_is_covered_once(summary: Summary) -> None:
    assert summary.traffic["blue", "3f3f", "live"].labelled == 1
    assert (summary.rows["feedback"], summary.labelled_rows) == (3, 2)


def test_a_target_without_files_holds_nothing(tmp_path: Path) -> None:
    assert summarize(FolderTree(tmp_path), 0.0).files == 0


@pytest.mark.parametrize(
    ("more", "times"),
    [({"requests_per_second": 20.0}, 2.0), ({"sample": 0.5}, 0.5)],
    ids=["twice the requests", "half the sample"],
)
def test_a_log_weighs_as_many_times_more_as_there_are_records(more: dict[str, float], times: float) -> None:
    usual = {"requests_per_second": 10.0, "kinds": ["number", "text"]}
    assert volume(**usual | more).lines == pytest.approx(times * volume(**usual).lines)
