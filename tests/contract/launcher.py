"""What KFP's launcher does with a compiled component, by hand: fill in the executor's input, run the command, read the output."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.contract.room import Room

FLOW = Path(__file__).resolve().parents[2] / "pipelines" / "fairlead" / "flows" / "training.yaml"


@dataclass
class Task:
    """One task that has ended."""

    name: str
    ended: "subprocess.CompletedProcess[str]"
    folder: Path
    output: dict[str, Any] = field(default_factory=dict)
    """The executor's output; empty if it wrote none."""

    @property
    def value(self) -> Any:
        return self.output["parameterValues"]["Output"]

    def artifact(self, name: str) -> dict[str, Any]:
        """The one artifact of an output, as an input takes it."""
        [found] = self.output["artifacts"][name]["artifacts"]
        return dict(found)

    def metadata(self, name: str) -> dict[str, Any]:
        return dict(self.artifact(name)["metadata"])

    @property
    def log(self) -> str:
        """What a pod's log would hold: both streams."""
        return self.ended.stdout + self.ended.stderr


def compiled() -> dict[str, Any]:
    """The committed flow. A second document, with settings for Kubernetes, is left out."""
    return dict(next(yaml.safe_load_all(FLOW.read_text(encoding="utf-8"))))


def run_task(
    room: Room,
    name: str,
    environment: Mapping[str, str],
    parameters: Mapping[str, Any],
    artifacts: Mapping[str, list[dict[str, Any]]] | None = None,
    label: str = "",
) -> Task:
    """Run the component *name* of the flow in *room*, by the very command that the flow has for it."""
    flow = compiled()
    container = flow["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
    outputs = flow["components"][f"comp-{name}"].get("outputDefinitions", {})
    folder = room.folder / "tmp" / (label or name)
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)  # the launcher makes it as the task's own user
    executor_input = {
        "inputs": {
            "parameterValues": dict(parameters),
            "artifacts": {key: {"artifacts": found} for key, found in (artifacts or {}).items()},
        },
        "outputs": {
            "parameters": {
                key: {"outputFile": str(folder / "parameters" / key)} for key in outputs.get("parameters", {})
            },
            "artifacts": {
                key: {"artifacts": [{"name": key, "type": spec["artifactType"], "uri": str(folder / key), "metadata": {}}]}
                for key, spec in outputs.get("artifacts", {}).items()
            },
            "outputFile": str(folder / "output_metadata.json"),
        },
    }  # fmt: skip
    command = [
        part.replace("{{$}}", json.dumps(executor_input))
        for part in [*container["command"], *container.get("args", [])]
    ]
    task = Task(name, room.run(command, environment), folder)
    written = folder / "output_metadata.json"
    if written.exists():
        task.output = json.loads(written.read_text(encoding="utf-8"), parse_constant=_refuse)
    return task


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON: the launcher, which is written in Go, cannot read it")
