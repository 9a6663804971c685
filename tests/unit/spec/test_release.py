"""The section ``release``: defaults, and mistakes told with the way out."""

import subprocess
import sys

import pytest

from fairlead.errors import ProjectError
from fairlead.spec import parse_contract, parse_project
from fairlead.spec.consistency import check_consistent
from fairlead.spec.release import Release

PROJECT = """
apiVersion: fairlead/v1
name: tumour
problem: {statement: Tell malignant from benign, owner: clinic}
data: {source: {kind: csv, uri: rows.csv}, target: malignant, contract: contract.yaml}
model: {task: classification, candidates: [logistic]}
"""


def release_of(text: str) -> Release:
    return parse_project(f"{PROJECT}release: {text}\n").release


def test_without_the_section_there_is_a_canary_in_four_steps():
    release = parse_project(PROJECT).release
    assert (release.strategy, release.steps, release.timeout) == ("canary", (1.0, 5.0, 25.0, 50.0), "24h")


def test_a_last_step_of_100_is_what_follows_anyway():
    assert release_of("{steps: [5, 50, 100]}").steps == (5.0, 50.0)


def test_the_section_of_the_design_is_read():
    release = release_of(
        "{strategy: canary, steps: [1, 5, 25, 50], look: 60s, shadow: true, alpha: 0.05, timeout: 24h, guards: "
        "{errors: {margin: {ratio: 1.25, add: 0.001}}, latency: {objective_ms: 50}, predictions: {tolerance: 0.05}}}"
    )
    assert release.guards.latency is not None
    assert release.guards.latency.objective_ms == 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{steps: [5, 5, 50]}", "release.steps = [5, 5, 50]: weights must rise, but 5 comes after 5"),
        ("{steps: [50, 25]}", "weights must rise, but 25 comes after 50"),
        ("{steps: [1, 99]}", "end with 95 or less, 100 follows by itself"),
        ("{steps: [100]}", "put weights before it, or take strategy blue-green"),
        ("{steps: [1, 101]}", "release.steps.1 = 101: must be less than or equal to 100"),
        ("{steps: []}", "must not have fewer entries than 1"),
        ("{guards: {value: {margin: 1, cap: 5, required: false}}}", "release.guards.value"),
        ("{guards: {value: {margin: 5, cap: 5, required: false}}}", "margin is 5, but must be below cap (5)"),
        ("{guards: {quality: {}}}", "required needs labels: say when they come (labels: {maturity: 7d})"),
        ("{guards: {latency: {objective_ms: 50, quantile: 0.99}}}", "give objective_ms or quantile"),
        ("{look: 2m, stale_after: 5m}", "stale_after is 5m, but must be at least five looks (600 s)"),
        ("{soak: 2h, timeout: 1h}", "timeout is 1h, but must be above soak (2h)"),
        ("{strategy: cannary}", "did you mean 'canary'?"),
        ("{guards: {error: {}}}", "did you mean 'errors'?"),
        ("{look: 60}", "release.look = 60"),
        ("{on_timeout: promote}", "must be one of hold, abort"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_the_way_out(text, says):
    with pytest.raises(ProjectError) as error:
        release_of(text)
    assert says in str(error.value)


def test_money_needs_its_price():
    with pytest.raises(ProjectError, match=r"needs problem\.value"):
        release_of("{guards: {value: {margin: 1, cap: 5, required: false}}}")


def test_slices_are_by_a_column_of_the_contract():
    project = parse_project(f"{PROJECT}release: {{guards: {{slices: {{by: contry, values: [DE]}}}}}}\n")
    contract = parse_contract(
        "apiVersion: fairlead.contract/v1\ncolumns: {malignant: {type: boolean}, country: {type: category, values: [DE, FR]}}\n"
    )
    with pytest.raises(ProjectError, match=r"release\.guards\.slices\.by is 'contry'.*country"):
        check_consistent(project, contract)


def test_reading_a_project_file_needs_no_numpy():
    program = "import sys, fairlead.spec; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
