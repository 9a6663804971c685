"""The application in a BentoML service, and what BentoML writes into a Bento's metadata.

``service.py`` of a Bento is two lines::

    from fairlead.serve.service import service_of
    svc = service_of(Path(__file__).resolve().parent / "bundle")

Requests come in by the lane (:mod:`fairlead.serve.lane`), which runs in BentoML's worker, in its event loop,
on a port of its own. BentoML's port keeps BentoML's routes: its probes, its schema, its page and the
``predict`` method below, for its clients. They are no part of what is counted, logged and limited: keep that
port private.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Literal, Optional

import bentoml
import pydantic

from fairlead.schema import Field, Schema
from fairlead.serve.environment import Environment
from fairlead.serve.loading import load, read_manifest, read_schema

TIMEOUT_SECONDS = 10
"""After this BentoML's own route answers 504. A request of the largest size takes a second or two."""


def service_of(folder: Path) -> Any:
    """The BentoML service for the model in *folder*, which is loaded when the service starts.

    ``FAIRLEAD_WORKERS`` processes answer on the same port (default 1: scale by pods).

    Raises:
        IntegrityError: The manifest or the schema cannot be read, see :func:`fairlead.serve.loading.load`.
        ProjectError: ``FAIRLEAD_WORKERS`` is no number of processes.
    """
    manifest, schema = read_manifest(folder), read_schema(folder)
    workers = workers_of(Environment(os.environ))
    if workers > 1:
        # This runs in the supervisor first; its workers inherit the folder in which they add up their counters.
        os.environ.setdefault("FAIRLEAD_METRICS_FOLDER", tempfile.mkdtemp(prefix="fairlead-metrics-"))
    decorate = bentoml.service(
        name=manifest.name,
        description=f"{manifest.name} {manifest.version} ({manifest.format})",
        labels={"fairlead/digest": manifest.digest[:63], "fairlead/format": manifest.format},
        traffic={"timeout": TIMEOUT_SECONDS},
        workers=workers,
        # Each of these costs more than a prediction. The lane has counters and traces of its own.
        tracing={"excluded_urls": ".*"},
        logging={"access": {"enabled": False}},
        metrics={"enabled": False},
    )
    return decorate(_service_class(folder, schema, workers))


def workers_of(env: Environment) -> int:
    """Read ``FAIRLEAD_WORKERS``. Raises ProjectError."""
    return env.whole("FAIRLEAD_WORKERS", 1, low=1, high=128)


def _service_class(folder: Path, schema: Schema, workers: int) -> type:
    """The class BentoML makes an instance of in each worker."""

    class ModelService:
        """Answers for one model."""

        def __init__(self) -> None:
            # BentoML's supervisor reads this module before its worker does, and only to describe it.
            from fairlead.serve.assembly import Assembly  # noqa: PLC0415

            self.assembly = Assembly(workers=workers)
            self.model = load(folder)

        @bentoml.on_startup  # type: ignore[untyped-decorator]
        async def begin(self) -> None:
            """Open the lane, in the worker's event loop."""
            await self.assembly.start()
            await self.assembly.attach(self.model)

        @bentoml.on_shutdown  # type: ignore[untyped-decorator]
        async def end(self) -> None:
            """Drain the lane before the loop closes."""
            await self.assembly.stop()

        def __is_ready__(self) -> bool:
            return self.assembly.app.ready

    ModelService.predict = _described_method(schema)  # type: ignore[attr-defined]
    return ModelService


def _described_method(schema: Schema) -> Any:
    """The ``predict`` that BentoML describes, with types made from the schema; it works in process too."""
    answer = answer_model(schema)

    def predict(self: Any, rows: list[Any]) -> Any:
        """One prediction a row."""
        from fairlead.serve.http import Limits, Refused  # noqa: PLC0415 - as above
        from fairlead.serve.predict import Predictor  # noqa: PLC0415

        try:
            said = Predictor(self.model, Limits()).answer([row.model_dump(by_alias=True) for row in rows])
            return answer.model_validate(said)
        except Refused as refusal:
            raise bentoml.exceptions.InvalidArgument(str(refusal.content)) from None

    predict.__annotations__ = {"rows": list[row_model(schema)], "return": answer}  # type: ignore[misc]
    return bentoml.api(predict)


# ------------------------------------------------------------------------------------- what BentoML describes


def row_model(schema: Schema) -> type[pydantic.BaseModel]:
    """A request row as a pydantic model: names, types, bounds and categories."""
    fields: dict[str, Any]
    if schema.series is not None:
        fields = {"key": (str, ...), "at": (str, ...), "history": (list[float], ...), "step": (int, ...)}
    else:
        # Any name will do in a contract, but not in Python: the real one is the alias.
        fields = {f"field_{position}": _described(field) for position, field in enumerate(schema.fields)}
    return pydantic.create_model("Row", __config__=pydantic.ConfigDict(extra="forbid"), **fields)


def _described(field: Field) -> tuple[Any, Any]:
    kinds: dict[str, Any] = {"number": float, "integer": int, "boolean": bool}
    kind = kinds.get(field.kind, str)
    if field.kind == "category" and field.unknown == "refuse" and field.case == "keep":
        kind = Literal[field.values]
    optional = field.missing == "allow"
    described = pydantic.Field(
        None if optional else ...,
        alias=field.name,
        ge=field.minimum,
        le=field.maximum,
        description=f"{field.kind}, {field.unit}" if field.unit else field.kind,
    )
    return (Optional[kind] if optional else kind), described  # noqa: UP045 - kind is a value


def answer_model(schema: Schema) -> type[pydantic.BaseModel]:
    """The answer of ``/predict`` as a pydantic model; see :mod:`fairlead.serve.predict`."""
    kinds: dict[str, dict[str, Any]] = {
        "classification": {"label": str, "probability": float, "probabilities": dict[str, float]},
        "clustering": {"cluster": int, "scores": list[float]},
    }
    prediction = _record("Prediction", kinds.get(schema.output.task, {"value": float}))
    return _record("Predictions", {"model": str, "version": str, "predictions": list[prediction]})  # type: ignore[valid-type]


def _record(name: str, fields: dict[str, Any]) -> type[pydantic.BaseModel]:
    required: dict[str, Any] = {field: (kind, ...) for field, kind in fields.items()}
    return pydantic.create_model(name, **required)
