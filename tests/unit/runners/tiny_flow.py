"""A flow with the shape of the training flow (a loop over what the first task returns, collected by the last) and no work."""

from typing import List  # noqa: UP035 - kfp offers a component's source the names of `typing`

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Output

from fairlead.flows.settings import apply
from fairlead.spec.run import Run


@dsl.component(base_image="x/pipeline:1", install_kfp_package=False)
def data(project: str, dataset: Output[Dataset]) -> List[int]:  # noqa: UP006
    """Write a folder."""
    from pathlib import Path

    print('{"fairlead": {"stage": "data", "kind": "note", "text": "two rows", "done": 0, "total": null}}')
    Path(dataset.path).mkdir(parents=True)
    (Path(dataset.path) / "rows.txt").write_text("one\ntwo\n")
    dataset.metadata["digest"] = project
    return [0, 1, 2]


@dsl.component(base_image="x/pipeline:1", install_kfp_package=False)
def search(dataset: Input[Dataset], worker: int, trials: Output[Artifact]):
    """Write a file."""
    from pathlib import Path

    rows = (Path(dataset.path) / "rows.txt").read_text().split()
    Path(trials.path).write_text(f"{worker}:{len(rows)}:{dataset.metadata['digest']}")


@dsl.component(base_image="x/pipeline:1", install_kfp_package=False)
def model(
    project: str,
    trials: Input[List[Artifact]],  # noqa: UP006
    scores: Output[Metrics],
    curves: Output[Artifact],
) -> str:
    """Read what the workers wrote; fail as a stage fails if asked to."""
    import os
    from pathlib import Path

    from fairlead.errors import GateFailed

    found = sorted(Path(trial.path).read_text() for trial in trials)
    scores.log_metric("trials", len(found))
    if project == "bad":
        Path(scores.path).write_text("kept")
        Path(os.environ["FAIRLEAD_FAILURE_FILE"]).write_text(
            GateFailed("a bar was missed", hint="lower it").to_json()
        )
        raise SystemExit(1)
    if project == "crash":
        raise ValueError("a bug of the stage")
    return ",".join(found)


def tiny_flow(run: Run | None = None):
    settled = run or Run()

    @dsl.pipeline(name="tiny")
    def tiny(project: str) -> str:
        first = data(project=project)
        apply(first, "data", settled)
        with dsl.ParallelFor(first.outputs["Output"]) as worker:
            found = search(dataset=first.outputs["dataset"], worker=worker)
            apply(found, "search", settled)
        last = model(project=project, trials=dsl.Collected(found.outputs["trials"]))
        apply(last, "model", settled)
        return last.outputs["Output"]

    return tiny


def compiled(run: Run | None = None) -> str:
    from fairlead.flows.compiled import _compile

    return _compile(tiny_flow(run))
