"""The section ``run``: defaults, precedence, and mistakes told with the way out."""

import pytest

from fairlead.errors import ProjectError
from fairlead.spec import parse_project
from fairlead.spec.run import TASKS, Run

PROJECT = """
apiVersion: fairlead/v1
name: tumour
problem: {statement: Tell malignant from benign, owner: clinic}
data: {source: {kind: csv, uri: rows.csv}, target: malignant, contract: contract.yaml}
model: {task: classification, candidates: [logistic]}
"""


def run_of(text: str) -> Run:
    return parse_project(f"{PROJECT}run: {text}\n").run


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_time_out_of_an_hour_by_default(task):
    assert Run().for_task(task).timeout == "1h"


def test_a_key_of_a_task_replaces_the_same_key_of_all_and_no_other():
    run = run_of("{timeout: 2h, retries: 1, tasks: {model: {timeout: 8h}}}")
    assert (run.for_task("model").timeout, run.for_task("model").retries) == ("8h", 1)
    assert run.for_task("search").timeout == "2h"


@pytest.mark.parametrize(
    ("text", "cached"),
    [
        ("{}", ["search"]),
        ("{caching: true}", ["search"]),
        ("{caching: false}", []),
        ("{tasks: {data: {caching: true}}}", ["data", "search"]),
    ],
)
def test_a_task_that_reads_rows_champion_or_registry_is_cached_only_if_asked_for_by_name(text, cached):
    run = run_of(text)
    assert [task for task in ("data", "search", "model", "bundle") if run.for_task(task).caching] == cached


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{timeuot: 2h}", "did you mean 'timeout'"),
        ("{tasks: {trian: {}}}", "there is no such key"),
        ("{timeout: 2 hours}", "run.timeout"),
        ("{timeout: 0s}", "run.timeout"),
        ("{image: fairlead/pipeline}", "must have a fixed tag or a digest"),
        ("{image: 'fairlead/pipeline:latest'}", "must have a fixed tag or a digest"),
        ("{resources: {requests: {memory: lots}}}", "run.resources.requests.memory"),
        ("{resources: {accelerator: {kind: gpu, count: 1}}}", "run.resources.accelerator.kind"),
        ("{env: {MLFLOW_RUN_ID: x}}", "is set by whoever starts the task"),
        ("{env: {2FAST: x}}", "must be a name for an environment variable"),
        ("{secrets: [{name: db}]}", "needs env (key: VARIABLE) or mount (a folder)"),
        ("{secrets: [{name: Db, mount: /x}]}", "run.secrets.0.name"),
        ("{tolerations: [{value: x}]}", "without a key, operator must be Exists"),
        ("{tolerations: [{key: a, operator: Exists, value: x}]}", "operator Exists takes no value"),
        ("{node_affinity: [{match: [{key: a, operator: Is}]}]}", "must be one of In, NotIn"),
        ("{labels: {fairlead.dev/run: x}}", "keys below fairlead.dev/ are fairlead's own"),
        ("{workspace: {}}", "needs either size (a volume a task) or claim (an existing one)"),
        ("{workspace: {claim: c, storage_class: fast}}", "storage_class goes with size"),
        ("{priority_class: high}", "set the namespace's default priority class instead"),
        ("{runtime_class: nvidia}", "choose nodes with node_selector"),
        ("{pull_policy: always}", "did you mean 'Always'"),
    ],
)
def test_a_mistake_is_told_with_its_place_or_the_way_out(text, says):
    with pytest.raises(ProjectError) as caught:
        run_of(text)
    assert says in str(caught.value)
    assert "line 7" in str(caught.value)


def test_a_run_section_written_out_can_be_read_in_again():
    run = run_of("{timeout: 2h, tasks: {model: {timeout: 8h}}}")
    assert Run.model_validate_json(run.model_dump_json()) == run
