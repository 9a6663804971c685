"""From a project to a registered bundle. No postponed annotations here: kfp reads them."""

from typing import Any, Callable  # noqa: UP035 - one import for all that annotations need

from kfp import dsl

from fairlead.bundle.component import bundle
from fairlead.data.component import data
from fairlead.model.component import model, search


def _leave(_task: Any, _name: Any) -> None:
    """Leave the task as it is."""


def training_flow(settle: Callable[[Any, Any], None] = _leave) -> Any:
    """Draw the graph. *settle* gets each task with its name and says how it runs (:mod:`fairlead.flows.settings`)."""

    @dsl.pipeline(name="fairlead-training", display_name="fairlead training")
    def training(project: str, source_root: str = "") -> str:
        """Train, gate, export and register the model of one fairlead project.

        Args:
            project: Archive of the project with its digest, URI@sha256:DIGEST. `fairlead push` prints the value to paste here.
            source_root: Folder that a relative data source is relative to. Empty when it is absolute (s3://…, a database).

        Returns:
            Digest of the bundle.
        """
        snapshot = data(project=project, source_root=source_root)
        settle(snapshot, "data")
        with dsl.ParallelFor(snapshot.outputs["Output"]) as worker:
            found = search(project=project, dataset=snapshot.outputs["dataset"], worker=worker)
            settle(found, "search")
        trained = model(
            project=project,
            dataset=snapshot.outputs["dataset"],
            trials=dsl.Collected(found.outputs["trials"]),
        )
        settle(trained, "model")
        bundled = bundle(project=project, candidate=trained.outputs["candidate"])
        settle(bundled, "bundle")
        return bundled.outputs["Output"]

    return training


training = training_flow()
"""The graph alone, as runs on a laptop use it: tasks are processes there, and settings for containers mean nothing."""
