"""``GET /openapi.json``: an OpenAPI 3.1 document of this model's own paths, with its rows' exact rules.

Made once, when the model is loaded. What a row may hold is JSON Schema 2020-12 of the model's schema: a request
that fits it is accepted, one that does not is refused, as far as JSON Schema can say it. Where it cannot (dates
that do not exist, letters whose lower case is unusual), the server's own rules decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from fairlead.schema import Field, Output, Schema
from fairlead.schema.validate import FLOAT32_MAX
from fairlead.serve.explain.reference import reference_row
from fairlead.serve.feedback import KEYS
from fairlead.serve.http import Answer, Handler, Limits
from fairlead.serve.loading import LoadedModel

Json = dict[str, Any]

OPTIONAL = ("/explain", "/feedback", "/graphql")
"""Paths a deployment may not have."""
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_ZONE = r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?"
MOMENT = rf"^[1-9][0-9]{{3}}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])([T ]{_TIME}{_ZONE})?$"
"""ISO 8601 as the server reads it. A pattern cannot tell which months have 31 days, so it stops at the 28th."""


def handler_of(document: Mapping[str, Any]) -> Handler:
    """Answers ``GET /openapi.json``."""
    answer = Answer(200, orjson.dumps(document))
    return lambda _: answer


def document_of(
    model: LoadedModel,
    limits: Limits,
    *,
    paths: Iterable[str] = OPTIONAL,
    security: Mapping[str, Any] | None = None,
    explained_rows: int = 1,
) -> Json:
    """The document.

    Args:
        model: What answers.
        limits: What one request may ask for.
        paths: Those of :data:`OPTIONAL` that this deployment has.
        security: Security schemes by name, as OpenAPI has them; any one of them opens a path.
        explained_rows: How many rows ``/explain`` takes.
    """
    schema = model.schema
    operations = _fixed_paths() | _predict(schema, limits) | _protocol(model)
    optional = {
        "/explain": lambda: _explain(schema, explained_rows),
        "/feedback": lambda: _feedback(schema.output, limits),
        "/graphql": _graphql,
    }
    for path in sorted(set(paths)):
        operations[path] = optional[path]()
    components: Json = {"schemas": _schemas(schema, reference_row(schema, model.profile))}
    document: Json = {
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": model.name,
            "version": model.version,
            "description": f"{_told(schema.output)} Model format: {model.format}. Digest: {model.digest}.",
        },
        "servers": [{"url": "./"}],
        "paths": operations,
        "components": components,
    }
    if security:
        components["securitySchemes"] = dict(security)
        document["security"] = [{name: []} for name in sorted(security)]
        _close(operations)
    return document


def _told(output: Output) -> str:
    """What the model gives, in a sentence."""
    target = output.target or "the target"
    if output.task == "classification":
        return f"Says which class of {target} a row has: {', '.join(output.classes[:20])}."
    if output.task == "clustering":
        return f"Says which of {output.clusters} clusters a row belongs to."
    return f"Says the value of {target} for a row." + (f" Unit: {output.unit}." if output.unit else "")


def _close(operations: Mapping[str, Json]) -> None:
    """With access control: probes stay open, everything else can answer 401, 403 and 429."""
    for path, item in operations.items():
        for operation in item.values():
            if path in _OPEN:
                operation["security"] = []
                continue
            for status in ("401", "403", "429"):
                operation["responses"].setdefault(status, _refusals(status)[status])


_OPEN = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})


# ------------------------------------------------------------------------------------------------------- a row


def row_schema(schema: Schema) -> Json:
    """JSON Schema of a request row.

    >>> schema = Schema("m", (Field("a", "integer", minimum=0.0, maximum=9.0, missing="allow"),), output=None)
    >>> row_schema(schema)["properties"]["a"]
    {'type': ['integer', 'null'], 'minimum': 0.0, 'maximum': 9.0}
    """
    if schema.series is not None:
        return _series_row(schema)
    return _closed(
        {field.name: field_schema(field) for field in schema.fields},
        [field.name for field in schema.fields if field.missing == "refuse"],
    )


def field_schema(field: Field) -> Json:
    """JSON Schema of one value. Where a value may be missing, it may be null or left out."""
    found = _FIELD[field.kind](field)
    if field.unit:
        found["description"] = f"In {field.unit}."
    if field.missing == "refuse":
        return found
    if "type" in found and "enum" not in found:
        return found | {"type": [found["type"], "null"]}
    return {"anyOf": [found, {"type": "null"}]}


def _number(field: Field) -> Json:
    low = -FLOAT32_MAX if field.minimum is None else max(field.minimum, -FLOAT32_MAX)
    high = FLOAT32_MAX if field.maximum is None else min(field.maximum, FLOAT32_MAX)
    return {"type": field.kind, "minimum": low, "maximum": high}


def _category(field: Field) -> Json:
    """A listed value; or any other, where the model has a code for those."""
    if field.unknown == "other":
        return {
            "type": "string",
            "maxLength": field.max_length,
            "examples": list(field.values[:10]),
        } | _pattern(field)
    if field.case == "keep":
        return {"type": "string", "enum": list(field.values)}
    listed = "|".join(_any_case(value) for value in field.values)
    return {"type": "string", "pattern": f"^({listed})$", "examples": list(field.values[:10])}


def _pattern(field: Field) -> Json:
    """The rule for values that are not listed; listed ones need not keep it."""
    if not field.pattern or (field.kind == "category" and field.case != "keep"):
        return {}
    rule = f"^(?:{field.pattern})$"
    listed = "|".join(map(_escaped, field.values))
    return {"pattern": f"{rule}|^({listed})$" if listed else rule}


def _escaped(text: str) -> str:
    """*text* as a pattern that JavaScript and Python read alike."""
    return re.sub(r"([\\^$.|?*+()\[\]{}/])", r"\\\1", text)


def _any_case(value: str) -> str:
    r"""A pattern for *value* in any mixture of cases.

    >>> _any_case("DE.1")
    '[dD][eE]\\.1'
    """
    return "".join(
        f"[{one.lower()}{one.upper()}]"
        if one.isalpha() and len(one.lower() + one.upper()) == 2
        else _escaped(one)
        for one in value
    )


_MOMENT: Json = {"type": "string", "pattern": MOMENT, "examples": ["2024-01-01T12:00:00"]}
_FIELD: dict[str, Callable[[Field], Json]] = {
    "number": _number,
    "integer": _number,
    "boolean": lambda _: {"type": "boolean"},
    "category": _category,
    "text": lambda field: {"type": "string", "maxLength": field.max_length} | _pattern(field),
    "datetime": lambda _: dict(_MOMENT),
}


def _series_row(schema: Schema) -> Json:
    shape = schema.series
    assert shape is not None  # noqa: S101 - for the type checker
    value = {"type": "number", "minimum": -FLOAT32_MAX, "maximum": FLOAT32_MAX}
    properties = {
        "key": {"type": "string", "description": "The series.", "examples": list(shape.keys[:10])},
        "at": _MOMENT | {"description": "The time of the last value."},
        "history": {
            "type": "array", "items": value, "minItems": shape.window, "maxItems": shape.window,
            "description": f"Values of each {shape.every}, oldest first.",
        },
        "step": {"type": "integer", "minimum": 1, "maximum": shape.horizon, "description": f"{shape.every}s ahead"},
    }  # fmt: skip
    return _closed(properties, list(properties))


def _closed(properties: Json, required: list[str]) -> Json:
    """An object that has nothing else."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _record(**properties: Json) -> Json:
    """An object that has at least these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


# ----------------------------------------------------------------------------------------------------- schemas

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_SHARE: Json = {"type": "number", "minimum": -0.001, "maximum": 1.001}
"""A probability: compiled models add up to 1 within their rounding."""


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(items: Json, **bounds: Any) -> Json:
    return {"type": "array", "items": items, **bounds}


def _schemas(schema: Schema, example: Json) -> Json:
    return {
        "Row": row_schema(schema) | {"examples": [example]},
        "Prediction": _prediction(schema.output),
        "Error": _record(error=_TEXT),
        "FieldErrors": _record(
            error=_TEXT,
            errors=_list_of(_record(row=_COUNT, field=_TEXT, value=_TEXT, rule=_TEXT)),
        ),
        "Tensor": _tensor(),
    }


def _prediction(output: Output) -> Json:
    if output.task == "classification":
        label = {"type": "string", "enum": list(output.classes)}
        each = dict.fromkeys(output.classes, _SHARE)
        return _record(label=label, probability=_SHARE, probabilities=_closed(each, list(each)))
    if output.task == "clustering":
        scores = _list_of(_NUMBER, minItems=output.clusters, maxItems=output.clusters)
        return _record(
            cluster={"type": "integer", "minimum": 0, "maximum": output.clusters - 1}, scores=scores
        )
    return _record(value=_NUMBER | ({"description": f"In {output.unit}."} if output.unit else {}))


def _tensor() -> Json:
    return _record(
        name=_TEXT,
        shape=_list_of({"type": "integer", "minimum": 0}),
        datatype={"type": "string", "enum": [
            "BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP32", "FP64", "BYTES",
        ]},
        data={"type": "array"},
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- paths

_SAID = {
    "400": "The body is not what the protocol or JSON allows.",
    "401": "No credential, or one that is not known.",
    "403": "Not allowed.",
    "404": "There is no such model or version.",
    "408": "The body did not come in time.",
    "409": "This deployment keeps no log of predictions.",
    "413": "The body is too large, or has too many rows.",
    "415": "The body is not said to be JSON.",
    "422": "Values that break the schema: each with field, row, value and rule.",
    "429": "Too many requests; Retry-After says when to come again.",
    "500": "The model or the server failed; the answer has the request's id and no more.",
    "503": "Not ready, or too much under way; Retry-After says when to come again.",
}
_POSTED = ("400", "408", "413", "415", "422", "429", "500", "503")
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}


def _refusals(*statuses: str) -> Json:
    """Responses of everything that can go wrong."""
    found: Json = {}
    for status in statuses:
        content = _json(_ref("FieldErrors" if status == "422" else "Error"))
        found[status] = {"description": _SAID[status], "content": content}
        if status in ("429", "503"):
            found[status]["headers"] = _RETRY
    return found


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _operation(name: str, summary: str, answer: Json, *refusals: str, status: str = "200") -> Json:
    said = {"description": summary, "content": _json(answer)}
    return {"operationId": name, "summary": summary, "responses": {status: said, **_refusals(*refusals)}}


def _posted(operation: Json, body: Json) -> Json:
    return {"post": operation | {"requestBody": {"required": True, "content": _json(body)}}}


def _rows_body(most: int) -> Json:
    return _closed({"rows": _list_of(_ref("Row"), minItems=1, maxItems=most)}, ["rows"])


def _predict(schema: Schema, limits: Limits) -> Json:
    answer = _record(model=_TEXT, version=_TEXT, predictions=_list_of(_ref("Prediction")))
    summary = f"One prediction a row: {_told(schema.output)}"
    return {"/predict": _posted(_operation("predict", summary, answer, *_POSTED), _rows_body(limits.rows))}


def _explain(schema: Schema, most: int) -> Json:
    names = ["key", "at", "history", "step"] if schema.series else [field.name for field in schema.fields]
    explanation = _record(
        prediction=_ref("Prediction"),
        explains=_TEXT,
        answer=_NUMBER,
        base=_NUMBER,
        contributions=_closed(dict.fromkeys(names, _NUMBER), names),
        standard_error={"type": ["number", "null"], "minimum": 0},
    )
    answer = _record(
        model=_TEXT, version=_TEXT, method={"type": "string", "enum": ["exact", "sampled"]}, orders=_COUNT,
        reference={"type": "object"}, explanations=_list_of(explanation),
    )  # fmt: skip
    summary = "What each field adds to the answer, against a typical row"
    return _posted(_operation("explain", summary, answer, "403", *_POSTED), _rows_body(most))


def _feedback(output: Output, limits: Limits) -> Json:
    properties: Json = {
        "id": {
            "type": "string",
            "pattern": "^[!-~]{1,128}$",
            "description": "X-Request-ID of the prediction.",
        },
        "label": _label(output),
        "row": {"type": ["integer", "null"], "minimum": 0, "maximum": limits.rows - 1, "default": 0},
        "at": {"type": ["string", "null"], "pattern": MOMENT},
    }
    one = _closed({name: properties[name] for name in KEYS}, ["id", "label"])
    many = _closed({"feedback": _list_of(one, minItems=1, maxItems=limits.rows)}, ["feedback"])
    summary = "What turned out to be true; kept beside the prediction"
    operation = _operation(
        "feedback", summary, _record(accepted=_COUNT), "409", *_POSTED, status="202"
    )  # fmt: skip
    return _posted(operation, {"oneOf": [one, many]})


def _label(output: Output) -> Json:
    if output.task == "classification":
        return {"type": "string", "enum": list(output.classes)}
    if output.task == "clustering":
        return {"type": "integer", "minimum": 0, "maximum": output.clusters - 1}
    return _NUMBER


def _graphql() -> Json:
    body = _record(query=_TEXT)
    body["properties"] |= {
        "variables": {"type": ["object", "null"]},
        "operationName": {"type": ["string", "null"]},
    }
    body["additionalProperties"] = False
    operation = _operation("graphql", "The same as GraphQL", {"type": "object"}, *_POSTED)
    operation["responses"]["400"]["content"] = _json({"type": "object"})
    return _posted(operation, body)


def _protocol(model: LoadedModel) -> Json:
    """The Open Inference Protocol's paths."""
    metadata = _record(name=_TEXT, versions=_list_of(_TEXT), platform=_TEXT, inputs={"type": "array"},
                       outputs={"type": "array"})  # fmt: skip
    ready = _record(name=_TEXT, ready={"type": "boolean"})
    asked = _record(inputs=_list_of(_ref("Tensor"), minItems=1))
    asked["properties"] |= {
        "id": _TEXT,
        "parameters": {"type": "object"},
        "outputs": _list_of(_record(name=_TEXT)),
    }
    answered = _record(model_name=_TEXT, outputs=_list_of(_ref("Tensor")))
    found: Json = {}
    for base, name in (
        (f"/v2/models/{model.name}", "Model"),
        (f"/v2/models/{model.name}/versions/{model.version}", "Version"),
    ):
        infer = _operation(f"infer{name}", "Tensors in, tensors out", answered, *_POSTED)
        found[base] = {"get": _operation(f"describe{name}", "Inputs and outputs as tensors", metadata, "500")}
        found[f"{base}/ready"] = {"get": _operation(f"ready{name}", "Ready to be asked", ready, "500", "503")}
        found[f"{base}/infer"] = _posted(infer, asked)
    return found


def _fixed_paths() -> Json:
    live, ready = _record(live={"type": "boolean"}), _record(ready={"type": "boolean"})
    server = _record(name=_TEXT, version=_TEXT, extensions=_list_of(_TEXT))
    found = {
        "/livez": {"get": _operation("livez", "The process runs", live)},
        "/readyz": {"get": _operation("readyz", "Traffic should be sent here", ready)},
        "/v2": {"get": _operation("describeServer", "Name, version and extensions of the server", server)},
        "/v2/health/live": {"get": _operation("live", "The process runs", live)},
        "/v2/health/ready": {"get": _operation("ready", "Traffic should be sent here", ready)},
        "/metrics": {"get": _operation("metrics", "Counters, as Prometheus reads them", _TEXT)},
    }
    found["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    for path in ("/readyz", "/v2/health/ready"):
        not_ready = {"description": _SAID["503"], "content": _json(ready)}
        found[path]["get"]["responses"]["503"] = not_ready
    return found
