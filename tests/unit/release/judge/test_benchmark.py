"""The benchmark's parts run, small, and its bars are the judge's promises."""

import pytest
from benchmarks.judge import broken, held, whole
from benchmarks.judge.tables import Report


@pytest.mark.parametrize(
    "part", [held.detection, held.answers, held.labels, held.slices, held.several, whole.whole]
)
def test_a_small_run_of_a_part_keeps_its_bars(part):
    report = Report()
    part(report, 80)
    assert [bar.says for bar in report.bars if not bar.holds] == []
    assert report.text.startswith("## ")


def test_exposure_that_is_not_what_it_is_taken_for_condemns_an_equal_candidate():
    report = Report()
    broken._exposure(report, 20)
    assert report.text.count("| 100.0 |") == 2
