"""The GraphQL schema of a model: types made from what its rows have and what it gives for them.

Values of a row pass through GraphQL unchecked, in scalars that stand for their kinds, so that only one place
says what is wrong with them (:mod:`fairlead.schema.validate`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import graphene
import graphql

from fairlead.schema import Field, Output, Schema
from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback
from fairlead.serve.http import Limits, Scored
from fairlead.serve.loading import LoadedModel
from fairlead.serve.predict import score, wording_of


@dataclass(slots=True)
class Call:
    """What the resolvers of one request find out, for the counters and the log."""

    scored: Scored | None = None
    failures: Mapping[str, int] = field(default_factory=dict)


class Resolvers:
    """What answers each field of the root types."""

    def __init__(
        self,
        model: LoadedModel,
        limits: Limits,
        explainer: Explainer,
        feedback: Feedback,
        ready: Callable[[], bool],
    ) -> None:
        self._model = model
        self._limits = limits
        self._explainer = explainer
        self._feedback = feedback
        self._ready = ready
        self._words = wording_of(model.schema.output)
        self._rows = _Rows(model.schema)

    def model(self, _root: Any, _info: Any) -> dict[str, Any]:
        """Which model answers."""
        model = self._model
        return {
            "name": model.name, "version": model.version, "digest": model.digest, "format": model.format,
        }  # fmt: skip

    def schema(self, _root: Any, _info: Any) -> Schema:
        """What a row has, and what the model gives for it."""
        return self._model.schema

    def health(self, _root: Any, _info: Any) -> dict[str, Any]:
        """Whether traffic should be sent here."""
        return {"live": True, "ready": self._ready()}

    def predict(self, _root: Any, info: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Answers, and what was scored for the log. Raises Refused."""
        named = self._rows.named(rows)
        answers = score(self._model, named, self._limits)
        info.context.scored = Scored(named, answers)
        return self._identified() | {"predictions": [_listed(one) for one in self._words(answers)]}

    def explain(self, _root: Any, _info: Any, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Answers and contributions. Raises Refused."""
        said = self._explainer.explain(self._rows.named(rows))
        return said | {
            "explanations": [
                one
                | {
                    "prediction": _listed(one["prediction"]),
                    "contributions": [
                        {"field": name, "contribution": value} for name, value in one["contributions"].items()
                    ],
                }
                for one in said["explanations"]
            ]
        }

    def feedback(self, _root: Any, _info: Any, feedback: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Keeps feedback. Raises Refused."""
        return {"accepted": self._feedback.accept([dict(item) for item in feedback])}

    def _identified(self) -> dict[str, Any]:
        return {"model": self._model.name, "version": self._model.version}


def _listed(prediction: dict[str, Any]) -> dict[str, Any]:
    """A prediction whose probabilities are a list, because classes need not be names GraphQL allows."""
    if "probabilities" not in prediction:
        return prediction
    pairs = prediction["probabilities"].items()
    return prediction | {"probabilities": [{"label": name, "probability": value} for name, value in pairs]}


class _Rows:
    """The input type of a row, and its way back to the contract's names."""

    def __init__(self, schema: Schema) -> None:
        self._names = graphql_names(_row_fields(schema))
        self._real = {f"field_{position}": name for position, name in enumerate(self._names)}

    def named(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Rows as ``/predict`` has them."""
        return [{self._real[name]: value for name, value in row.items()} for row in rows]

    def type(self, schema: Schema) -> Any:
        """The type ``Row``. Nothing in it is required by GraphQL: the contract's own rules say what is."""
        fields = {
            f"field_{position}": graphene.InputField(_scalar(kind, listed=real == "history"), name=name, description=text)
            for position, ((real, name), (kind, text)) in enumerate(
                zip(self._names.items(), _row_fields(schema).values(), strict=True)
            )
        }  # fmt: skip
        return type("Row", (graphene.InputObjectType,), fields | {"__doc__": "One row to be answered."})


def _row_fields(schema: Schema) -> dict[str, tuple[str, str]]:
    """Name to kind and description."""
    if schema.series is not None:
        return {
            "key": ("text", "The series."),
            "at": ("datetime", "The time of the last value."),
            "history": ("number", f"The last {schema.series.window} values, oldest first."),
            "step": ("integer", f"Periods ahead, 1 to {schema.series.horizon}."),
        }
    return {one.name: (one.kind, described(one)) for one in schema.fields}


def described(one: Field) -> str:
    """A field's rules in words.

    >>> described(Field("amount", "number", unit="EUR", minimum=0.0, missing="allow"))
    'amount: number in EUR, at least 0, may be missing'
    """
    parts = [f"{one.name}: {one.kind}" + (f" in {one.unit}" if one.unit else "")]
    if one.minimum is not None:
        parts.append(f"at least {one.minimum:.15g}")
    if one.maximum is not None:
        parts.append(f"at most {one.maximum:.15g}")
    if one.values:
        parts.append(f"one of {' '.join(one.values[:50])}" + (" …" if len(one.values) > 50 else ""))
    if one.missing == "allow":
        parts.append("may be missing")
    return ", ".join(parts)


def graphql_names(names: Iterable[str]) -> dict[str, str]:
    """Names of the contract to names that GraphQL allows, all different.

    >>> graphql_names(["mean area", "mean-area", "2nd", "__x"])
    {'mean area': 'mean_area', 'mean-area': 'mean_area_2', '2nd': '_2nd', '__x': 'x'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^_0-9A-Za-z]", "_", name)
        plain = re.sub(r"^__+", "", plain) or "field"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        unique, number = plain, 2
        while unique in taken:
            unique, number = f"{plain}_{number}", number + 1
        taken.add(unique)
        found[name] = unique
    return found


_SCALARS: dict[str, Any] = {
    kind: type(
        f"{kind.capitalize()}Value",
        (graphene.Scalar,),
        {
            "__doc__": f"A value of a {kind} field, checked by the model's schema.",
            "serialize": staticmethod(lambda value: value),
            "parse_value": staticmethod(lambda value: value),
            "parse_literal": staticmethod(graphql.value_from_ast_untyped),
        },
    )
    for kind in ("number", "integer", "boolean", "category", "text", "datetime")
}


class JSON(graphene.Scalar):  # type: ignore[misc]
    """Any JSON."""

    serialize = staticmethod(lambda value: value)
    parse_value = staticmethod(lambda value: value)
    parse_literal = staticmethod(graphql.value_from_ast_untyped)


def _scalar(kind: str, *, listed: bool = False) -> Any:
    return graphene.List(_SCALARS[kind]) if listed else _SCALARS[kind]


def schema_of(schema: Schema, resolvers: Resolvers) -> Any:
    """The GraphQL schema of a model."""
    rows = graphene.Argument(_required_list(_Rows(schema).type(schema)), required=True)
    prediction = _prediction_type(schema.output)
    query = _object(
        "Query",
        "Ask about the model, and ask the model.",
        model=graphene.Field(_Model, resolver=resolvers.model, required=True),
        schema=graphene.Field(_RowSchema, resolver=resolvers.schema, required=True),
        health=graphene.Field(_Health, resolver=resolvers.health, required=True),
        predict=graphene.Field(
            _predictions_type(prediction), rows=rows, resolver=resolvers.predict, required=True
        ),
        explain=graphene.Field(
            _explanations_type(prediction), rows=rows, resolver=resolvers.explain, required=True
        ),
    )
    feedback = graphene.Argument(_required_list(_FeedbackInput), required=True)
    mutation = _object(
        "Mutation",
        "Tell what turned out to be true.",
        feedback=graphene.Field(_Accepted, feedback=feedback, resolver=resolvers.feedback, required=True),
    )
    return graphene.Schema(query=query, mutation=mutation, auto_camelcase=False)


def _object(name: str, says: str, /, **fields: Any) -> Any:
    return type(name, (graphene.ObjectType,), {"__doc__": says, **fields})


def _required_list(kind: Any) -> Any:
    return graphene.List(graphene.NonNull(kind))


def _many(kind: Any) -> Any:
    return graphene.Field(_required_list(kind), required=True)


_Model = _object(
    "Model",
    "Which model answers.",
    name=graphene.String(required=True),
    version=graphene.String(required=True),
    digest=graphene.String(required=True),
    format=graphene.String(required=True),
)
_Health = _object(
    "Health",
    "Whether to send traffic here.",
    live=graphene.Boolean(required=True),
    ready=graphene.Boolean(required=True),
)
_FieldRules = _object(
    "FieldRules",
    "One named value of a row.",
    name=graphene.String(required=True),
    kind=graphene.String(required=True),
    unit=graphene.String(required=True),
    minimum=graphene.Float(),
    maximum=graphene.Float(),
    values=_many(graphene.String),
    missing=graphene.String(required=True),
    unknown=graphene.String(required=True),
)
_SeriesRules = _object(
    "SeriesRules",
    "What a row of a forecast carries.",
    keys=_many(graphene.String),
    every=graphene.String(required=True),
    window=graphene.Int(required=True),
    horizon=graphene.Int(required=True),
    season=graphene.Int(required=True),
)
_OutputRules = _object(
    "OutputRules",
    "What the model gives for a row.",
    task=graphene.String(required=True),
    target=graphene.String(required=True),
    classes=_many(graphene.String),
    positive=graphene.String(required=True),
    threshold=graphene.Float(required=True),
    clusters=graphene.Int(required=True),
    unit=graphene.String(required=True),
)
_RowSchema = _object(
    "RowSchema",
    "What goes in and what comes out.",
    name=graphene.String(required=True),
    fields=_many(_FieldRules),
    series=graphene.Field(_SeriesRules),
    output=graphene.Field(_OutputRules, required=True),
)
_Accepted = _object("Accepted", "How much feedback was kept.", accepted=graphene.Int(required=True))
_ClassProbability = _object(
    "ClassProbability",
    "How probable a class is.",
    label=graphene.String(required=True),
    probability=graphene.Float(required=True),
)
_Contribution = _object(
    "Contribution",
    "What a field adds to the answer.",
    field=graphene.String(required=True),
    contribution=graphene.Float(required=True),
)


class _FeedbackInput(graphene.InputObjectType):  # type: ignore[misc]
    """What a row turned out to be. ``id`` is the X-Request-ID of the prediction."""

    class Meta:
        """Its name in the schema."""

        name = "FeedbackInput"

    id = JSON()
    label = JSON()
    row = JSON()
    at = JSON()


def _prediction_type(output: Output) -> Any:
    if output.task == "classification":
        fields: dict[str, Any] = {
            "label": graphene.String(required=True),
            "probability": graphene.Float(required=True),
            "probabilities": _many(_ClassProbability),
        }
    elif output.task == "clustering":
        fields = {"cluster": graphene.Int(required=True), "scores": _many(graphene.Float)}
    else:
        fields = {"value": graphene.Float(required=True)}
    return _object("Prediction", "The answer for a row.", **fields)


def _predictions_type(prediction: Any) -> Any:
    return _object(
        "Predictions",
        "Answers, one a row.",
        model=graphene.String(required=True),
        version=graphene.String(required=True),
        predictions=_many(prediction),
    )


def _explanations_type(prediction: Any) -> Any:
    explanation = _object(
        "Explanation",
        "An answer, and what each field adds to it.",
        prediction=graphene.Field(prediction, required=True),
        explains=graphene.String(required=True),
        answer=graphene.Float(required=True),
        base=graphene.Float(required=True),
        contributions=_many(_Contribution),
        standard_error=graphene.Float(),
    )
    return _object(
        "Explanations",
        "Explanations, one a row.",
        model=graphene.String(required=True),
        version=graphene.String(required=True),
        method=graphene.String(required=True),
        orders=graphene.Int(required=True),
        reference=graphene.Field(JSON, required=True),
        explanations=_many(explanation),
    )
