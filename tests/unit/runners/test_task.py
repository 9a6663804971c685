"""The seam to kfp: the command of a lightweight component, and the function that starts it."""

import inspect

import pytest
from kfp.local import subprocess_task_handler

from fairlead.flows.compiled import compile_flow
from fairlead.runners.task import parse_command


def compiled_commands() -> dict[str, list[str]]:
    import yaml

    spec = next(yaml.safe_load_all(compile_flow("training")))
    executors = spec["deploymentSpec"]["executors"]
    return {name: [*ex["container"]["command"], *ex["container"]["args"]] for name, ex in executors.items()}


@pytest.mark.parametrize("name", ["data", "search", "model", "bundle"])
def test_every_component_of_the_flow_has_a_command_that_can_be_taken_apart(name):
    parsed = parse_command(compiled_commands()[f"exec-{name}"])
    assert parsed.function == name
    assert f"def {name}(" in parsed.source


def test_another_command_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"if kfp was upgraded, fairlead\.runners\.task must follow"):
        parse_command(["sh", "-c", "echo hello"])


def test_kfp_still_starts_tasks_through_the_function_that_is_exchanged():
    signature = inspect.signature(subprocess_task_handler.run_local_subprocess)
    assert list(signature.parameters) == ["full_command", "env_vars"]
    assert "run_local_subprocess(" in inspect.getsource(subprocess_task_handler.SubprocessTaskHandler.run)
