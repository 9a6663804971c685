"""From a project to a registered bundle. No postponed annotations here: kfp reads them."""

from kfp import dsl

from fairlead.bundle.component import bundle
from fairlead.data.component import data
from fairlead.model.component import model, search


@dsl.pipeline(name="fairlead-training", display_name="fairlead training")
def training(project: str, source_root: str = "") -> str:
    """Train, gate, export and register the model of one fairlead project.

    Args:
        project: Archive of the project with its digest, PATH@sha256:DIGEST. `fairlead push` prints the value to paste here.
        source_root: Folder that a relative data source is relative to. Empty when the source is absolute (s3://…, a database).

    Returns:
        Digest of the bundle.
    """
    snapshot = data(project=project, source_root=source_root)
    with dsl.ParallelFor(snapshot.outputs["Output"]) as worker:
        found = search(project=project, dataset=snapshot.outputs["dataset"], worker=worker)
    trained = model(
        project=project,
        dataset=snapshot.outputs["dataset"],
        trials=dsl.Collected(found.outputs["trials"]),
    )
    bundled = bundle(project=project, candidate=trained.outputs["candidate"])
    return bundled.outputs["Output"]
