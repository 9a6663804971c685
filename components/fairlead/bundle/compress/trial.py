"""The look for something smaller: make variants, prove, measure and judge each, decide, and hand on what is served."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairlead.bundle.compress.adopt import adopted, with_table
from fairlead.bundle.compress.build import build
from fairlead.bundle.compress.choose import Decision, Option, choose
from fairlead.bundle.compress.distil import students
from fairlead.bundle.compress.lines import Evidence, Model, lines_of, metrics_shown
from fairlead.bundle.compress.measure import Clock, judged, speed, with_best_threshold
from fairlead.bundle.compress.prune import prunings
from fairlead.bundle.compress.quantise import quantisations
from fairlead.bundle.compress.table import ORIGINAL, Line, Tried, record_of, text_table
from fairlead.bundle.compress.variants import NothingToDo, Variant
from fairlead.bundle.exports import Export, Trained, read_trained
from fairlead.errors import ExportError, IntegrityError
from fairlead.heldout import LABELLED, LabelledRows, load_labelled
from fairlead.records import Candidate, OpenModel, Progress, Workspace
from fairlead.spec.compress import Compress, Method
from fairlead.stats.value import value_for


def compressed(
    workspace: Workspace,
    candidate: Candidate,
    exported: Export,
    open_model: OpenModel,
    progress: Progress,
    folder: Path,
    clock: Clock,
) -> tuple[Candidate, Export]:
    """What is served after the project's rule of compression: a variant, or the model as it is.

    Args:
        workspace: The project; without ``serve.compress`` nothing happens.
        candidate: The trained model.
        exported: Its export.
        open_model: Opens a model file by the code that will serve it.
        progress: Where the table is shown.
        folder: An absent folder for variants and the changed candidate.
        clock: Seconds, monotonic.

    Raises:
        IntegrityError: The candidate has no rows to judge others by, because it was trained without ``serve.compress``.
    """
    settings = workspace.project.serve.compress
    if settings is None:
        return candidate, exported
    trained = read_trained(Path(candidate.path), candidate.trusted)
    if trained.schema.output.task == "clustering":
        progress.note("serve.compress: clusterings have no truth by which a smaller one could be judged")
        return candidate, exported
    started = clock()
    evidence = _evidence(workspace, candidate, trained)
    models, nothing = _Workshop(evidence, trained, open_model, clock, folder).models(settings, exported)
    lines = lines_of(models, evidence, settings.rule.metric)
    tried = Tried(
        rule=settings.choose,
        metrics=metrics_shown(evidence),
        currency=evidence.value.currency if evidence.value else "",
        rows=len(evidence.rows["test"]),
        seconds=round(clock() - started, 3),
        lines=lines,
        nothing=nothing,
        decision=_decision(settings, lines),
    )
    for line in text_table(tried).splitlines():
        progress.note(line)
    copy = with_table(candidate, record_of(tried), folder / "candidate")
    return _served(copy, exported, tried, models, trained)


def _served(
    candidate: Candidate, exported: Export, tried: Tried, models: list[Model], trained: Trained
) -> tuple[Candidate, Export]:
    name = tried.decision.chosen
    if name is None:
        return candidate, exported
    [model] = [one for one in models if one.variant.name == name]
    [line] = [one for one in tried.lines if one.name == name]
    schema = trained.schema.with_output(threshold=model.judged.output.threshold)
    return adopted(candidate, name, schema, model.judged, line.gates), model.exported


def _evidence(workspace: Workspace, candidate: Candidate, trained: Trained) -> Evidence:
    project = workspace.project
    return Evidence(
        candidate=candidate,
        evaluation=json.loads((Path(candidate.path) / "evaluation.json").read_bytes()),
        rows=_rows(candidate),
        gates=project.model.gates,
        value=value_for(trained.schema.output, project.problem.value),
        seed=project.model.search.seed,
    )


def _rows(candidate: Candidate) -> dict[str, LabelledRows]:
    try:
        return load_labelled(Path(candidate.path) / LABELLED)
    except OSError as cause:
        raise IntegrityError(
            f"{candidate.path} has no {LABELLED}, by which a smaller model would be judged",
            hint="The model was trained without serve.compress; run the model stage again.",
        ) from cause


def _decision(settings: Compress, lines: list[Line]) -> Decision:
    rule = settings.rule
    options = [_option(line, rule.metric) for line in lines]
    return choose(rule, options[0], lines[0].figures.get(rule.metric), options[1:])


def _option(line: Line, metric: str) -> Option:
    ends = line.differences.get(metric)
    low, high = (ends.low, ends.high) if ends else (None, None)
    return Option(line.name, line.bytes, line.speed.one_row, low, high, line.refused)


@dataclass(frozen=True, slots=True, eq=False)
class _Workshop:
    """Where variants are made, written and measured."""

    evidence: Evidence
    trained: Trained
    open_model: OpenModel
    clock: Clock
    folder: Path

    def models(self, settings: Compress, exported: Export) -> tuple[list[Model], dict[str, str]]:
        """The model as trained and all its variants, measured; and why others are missing."""
        models = [self._measured(Variant(ORIGINAL, "", ""), exported)]
        nothing: dict[str, str] = {}
        for method in settings.methods:
            try:
                for variant in self._variants(method, exported):
                    self._try(variant, models, nothing)
            except NothingToDo as reason:
                nothing[method] = str(reason)
        return models, nothing

    def _try(self, variant: Variant, models: list[Model], nothing: dict[str, str]) -> None:
        try:
            built = build(variant, self.trained, self.folder / variant.name, self.open_model)
        except ExportError as refusal:
            nothing[variant.name] = str(refusal).splitlines()[0]
        else:
            models.append(self._measured(variant, built))

    def _variants(self, method: Method, exported: Export) -> Iterator[Variant]:
        task = self.trained.schema.output.task
        makers: dict[Method, Callable[[], Iterator[Variant]]] = {
            "quantise": lambda: _quantisations(exported),
            "prune": lambda: prunings(self.trained.estimator),
            "distil": lambda: students(
                self.trained.estimator, task, self.evidence.rows["train"].batch.as_array()
            ),
        }
        return makers[method]()

    def _measured(self, variant: Variant, exported: Export) -> Model:
        trained, rows, value = self.trained, self.evidence.rows, self.evidence.value
        answer = self.open_model(
            exported.format, exported.file, trained.schema, exported.trusted, trained.code
        )
        output = trained.schema.output
        if variant.name != ORIGINAL:
            output = with_best_threshold(output, value, rows["valid"], answer(rows["valid"].batch))
        took = speed(answer, trained.heldout, self.clock)
        return Model(variant, exported, took, judged(output, value, rows["test"], answer(rows["test"].batch)))


def _quantisations(exported: Export) -> Iterator[Variant]:
    if exported.format != "onnx":
        raise NothingToDo(f"nothing to quantise: the model is served as {exported.format}, not as ONNX")
    return quantisations(exported.file.read_bytes())
