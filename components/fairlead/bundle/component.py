"""The bundle stage as a KFP component. No postponed annotations here: kfp reads them."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Input, Markdown, Model, Output

from fairlead.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def bundle(
    project: str,
    candidate: Input[Model],
    bento: Output[Artifact],
    contents: Output[HTML],
    parity: Output[Markdown],
) -> str:
    """Export the model, prove that the export agrees with it, build the Bento, and register it.

    Args:
        project: Archive of the project with its digest.
        candidate: The trained model; its gates have passed.
        bento: The bundle: Bento, schema, reference profile, attestations.
        contents: A page about the bundle, for people.
        parity: How each format agreed with the trained model.

    Returns:
        The bundle's digest.
    """
    from pathlib import Path

    from fairlead import records
    from fairlead.adapters.connection import connect
    from fairlead.bundle import stage

    with connect("bundle", project) as at:
        built = stage.run(
            at.workspace,
            records.Candidate.open(candidate.path),
            at.builder,
            at.open_model,
            at.start_under_load,
            at.store,
            at.registry,
            at.tracker,
            at.progress,
            Path(bento.path),
            Path(contents.path),
        )
    bento.metadata.update({"digest": built.digest, "format": built.format, "uri": built.uri})
    Path(parity.path).write_text(stage.parity_table(built), encoding="utf-8")
    return built.digest
