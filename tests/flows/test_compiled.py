"""The compiled flow and components: fresh, and with what a pipeline backend and its UI need."""

from pathlib import Path

import pytest
import yaml

from fairlead.flows.compiled import COMPONENTS, FLOWS, compile_component, compile_flow
from fairlead.image import PIPELINE_IMAGE

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ROOT / "pipelines" / "fairlead" / "flows" / "training.yaml"


@pytest.mark.parametrize("name", FLOWS)
def test_the_committed_flow_equals_a_fresh_compile(name):
    assert (ROOT / "pipelines" / "fairlead" / "flows" / f"{name}.yaml").read_text() == compile_flow(name)


@pytest.mark.parametrize("path", COMPONENTS)
def test_the_committed_component_equals_a_fresh_compile(path):
    assert (ROOT / "components" / "fairlead" / path).read_text() == compile_component(path)


@pytest.fixture(scope="module")
def training() -> dict:
    return next(yaml.safe_load_all(TRAINING.read_text()))


def test_the_one_required_parameter_is_the_project(training):
    parameters = training["root"]["inputDefinitions"]["parameters"]
    assert [name for name, spec in parameters.items() if not spec.get("isOptional")] == ["project"]


def test_every_parameter_has_a_description_for_the_form_in_the_ui(training):
    parameters = training["root"]["inputDefinitions"]["parameters"]
    assert all(spec.get("description") for spec in parameters.values())


def test_nothing_is_installed_when_a_task_starts(training):
    for executor in training["deploymentSpec"]["executors"].values():
        assert "pip install" not in " ".join(executor["container"]["command"])


def test_every_task_has_an_image_with_a_fixed_tag(training):
    images = {executor["container"]["image"] for executor in training["deploymentSpec"]["executors"].values()}
    assert images == {PIPELINE_IMAGE}
    assert not PIPELINE_IMAGE.endswith(":latest")


@pytest.mark.parametrize(
    ("component", "artifact", "kind"),
    [
        ("data", "dataset", "system.Dataset"),
        ("data", "profile", "system.HTML"),
        ("model", "candidate", "system.Model"),
        ("model", "scores", "system.Metrics"),
        ("model", "curves", "system.ClassificationMetrics"),
        ("model", "evaluation", "system.HTML"),
        ("bundle", "parity", "system.Markdown"),
    ],
)
def test_artifacts_have_the_types_that_the_ui_draws(training, component, artifact, kind):
    outputs = training["components"][f"comp-{component}"]["outputDefinitions"]["artifacts"]
    assert outputs[artifact]["artifactType"]["schemaTitle"] == kind


def test_the_search_workers_are_a_loop_over_what_the_data_task_returns(training):
    loop = training["root"]["dag"]["tasks"]["for-loop-1"]
    assert (
        loop["inputs"]["parameters"]["pipelinechannel--data-Output"]["taskOutputParameter"]["producerTask"]
        == "data"
    )
