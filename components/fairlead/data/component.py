"""The data stage as a KFP component. No postponed annotations here: kfp reads them."""

from typing import List  # noqa: UP035 - kfp copies the function's source and offers it the names of `typing`

from kfp import dsl
from kfp.dsl import HTML, Dataset, Metrics, Output

from fairlead.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def data(
    project: str, source_root: str, dataset: Output[Dataset], profile: Output[HTML], rows: Output[Metrics]
) -> List[int]:  # noqa: UP006
    """Read the source, hold it against the contract, clean it, split it and describe it.

    Args:
        project: Archive of the project with its digest, as `fairlead push` prints it.
        source_root: Folder that a relative data source is relative to; empty if the source is absolute.
        dataset: The snapshot, named by its content.
        profile: A page about the data, for people.
        rows: Rows by split, and quarantined ones.

    Returns:
        Numbers of the search workers that should follow: [0, …, search.workers - 1].
    """
    from pathlib import Path

    from fairlead.adapters.connection import connect
    from fairlead.data import stage

    with connect("data", project, source_root) as at:
        snapshot = stage.run(
            at.workspace,
            at.source(),
            at.store,
            at.tracker,
            at.progress,
            Path(dataset.path),
            Path(profile.path),
        )
        workers = at.workspace.project.model.search.workers
    dataset.metadata.update({"digest": snapshot.digest, "source": snapshot.source})
    for split, count in snapshot.rows.items():
        rows.log_metric(split, count)
    return list(range(workers))
