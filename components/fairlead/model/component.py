"""The model stage as two KFP components, a search worker and the rest. No postponed annotations here: kfp reads them."""

from typing import List  # noqa: UP035 - kfp copies the function's source and offers it the names of `typing`

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from fairlead.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def search(project: str, dataset: Input[Dataset], worker: int, trials: Output[Artifact]):
    """Try this worker's share of parameter sets by cross-validation.

    Args:
        project: Archive of the project with its digest.
        dataset: The snapshot.
        worker: Number of this worker, from 0.
        trials: One JSON line a trial.
    """
    from pathlib import Path

    from fairlead import records
    from fairlead.adapters.connection import connect
    from fairlead.model import stage

    with connect("search", project) as at:
        snapshot = records.Dataset.open(dataset.path)
        done = stage.search(at.workspace, snapshot, worker, at.tracker, at.progress, Path(trials.path))
    trials.metadata.update({"worker": worker, "trials": len(done)})


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def model(
    project: str,
    dataset: Input[Dataset],
    trials: Input[List[Artifact]],  # noqa: UP006
    candidate: Output[Model],
    evaluation: Output[HTML],
    scores: Output[Metrics],
    curves: Output[ClassificationMetrics],
):
    """Train the best candidate and a baseline, evaluate both, and judge the gates.

    Args:
        project: Archive of the project with its digest.
        dataset: The snapshot.
        trials: What the search workers found.
        candidate: The trained model with its evaluation.
        evaluation: A page about the model, for people.
        scores: Metrics on the test rows.
        curves: ROC curve and confusion matrix (classification).
    """
    from pathlib import Path

    from fairlead import records
    from fairlead.adapters.connection import connect
    from fairlead.model import stage

    with connect("model", project) as at:
        trained = stage.run(
            at.workspace,
            records.Dataset.open(dataset.path),
            stage.read_trials([Path(found.path) for found in trials]),
            at.champion(),
            at.tracker,
            at.progress,
            Path(candidate.path),
            Path(evaluation.path),
        )
    candidate.metadata.update({"name": trained.name, "dataset": trained.dataset})
    for name, value in trained.metrics.items():
        scores.log_metric(name, value)
    stage.log_curves(trained, curves)
