"""The same app as a BentoML service, and what BentoML writes into a Bento's metadata.

``service.py`` of a Bento is two lines::

    from fairlead.serve.service import service_of
    svc = service_of(Path(__file__).resolve().parent / "bundle")

BentoML puts its own ``/livez``, ``/readyz``, ``/metrics`` and every ``@bentoml.api`` before mounted apps, and
answers a mount's own path with a redirect. So the app is not mounted: it is the innermost middleware, and
leaves to BentoML only what describes the service. The ``predict`` method below is what is described; over
HTTP the app answers in its place, with the same rows and the same predictions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Optional

import bentoml
import pydantic

from fairlead.schema import Field, Schema
from fairlead.serve.app import App
from fairlead.serve.http import Limits, Receive, Refused, Scope, Send
from fairlead.serve.loading import load, read_manifest, read_schema
from fairlead.serve.predict import Predictor

TIMEOUT_SECONDS = 10
"""After this BentoML answers 504. A request of the largest size takes a second or two."""


def service_of(folder: Path) -> Any:
    """The BentoML service for the model in *folder*, which is loaded when the service starts.

    Raises:
        IntegrityError: The manifest or the schema cannot be read, see :func:`fairlead.serve.loading.load`.
    """
    manifest, schema = read_manifest(folder), read_schema(folder)
    app = App()
    decorate = bentoml.service(
        name=manifest.name,
        description=f"{manifest.name} {manifest.version} ({manifest.format})",
        labels={"fairlead/digest": manifest.digest[:63], "fairlead/format": manifest.format},
        traffic={"timeout": TIMEOUT_SECONDS},
        # Each of these costs more than the prediction. The app has counters of its own.
        tracing={"excluded_urls": ".*"},
        logging={"access": {"enabled": False}},
        metrics={"enabled": False},
    )
    service = decorate(_service_class(folder, app, schema))
    service.add_asgi_middleware(AppFirst, ours=app)
    return service


BENTOML_PATHS = frozenset({"/healthz", "/schema.json", "/docs.json"})
"""Left to BentoML: its clients read them. Not its page at ``/``, which loads scripts from other hosts."""


class AppFirst:
    """ASGI middleware: requests go to *ours*, but for a few paths and the lifespan."""

    def __init__(self, app: Any, ours: App) -> None:
        self._behind = app
        self._ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        is_ours = scope["type"] == "http" and scope["path"] not in BENTOML_PATHS
        await (self._ours if is_ours else self._behind)(scope, receive, send)


def _service_class(folder: Path, app: App, schema: Schema) -> type:
    """The class BentoML makes an instance of in each worker."""

    class ModelService:
        """Answers for one model."""

        def __init__(self) -> None:
            self.model = load(folder)
            app.attach(self.model)

        @bentoml.on_shutdown  # type: ignore[untyped-decorator]
        def drain(self) -> None:
            """Say "not ready" to whoever still asks."""
            app.drain()

    ModelService.predict = _described_method(schema)  # type: ignore[attr-defined]
    return ModelService


def _described_method(schema: Schema) -> Any:
    """The ``predict`` that BentoML describes, with types made from the schema; it works in process too."""

    def predict(self: Any, rows: list[Any]) -> Any:
        """One prediction a row."""
        try:
            return Predictor(self.model, Limits()).answer([row.model_dump(by_alias=True) for row in rows])
        except Refused as refusal:
            raise bentoml.exceptions.InvalidArgument(str(refusal.content)) from None

    predict.__annotations__ = {"rows": list[row_model(schema)], "return": answer_model(schema)}  # type: ignore[misc]
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
