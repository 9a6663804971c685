"""The protocol over HTTP: metadata, readiness and inference, with values in JSON or in binary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from fairlead.schema.validate import shown
from fairlead.serve.http import JSON, Answer, Limits, Refused, Request, Route, Scored, json_answer, parse_json
from fairlead.serve.loading import LoadedModel
from fairlead.serve.v2.binary import EXTENSION, JSON_LENGTH, OCTETS, Tail, joined, reader, split, written
from fairlead.serve.v2.scoring import Rows, Scorer
from fairlead.serve.v2.tensors import WHOLE, Column, Columns, Signature, Tensor, check_whole

SERVER: dict[str, Any] = {"name": "fairlead", "version": "2", "extensions": [EXTENSION]}
"""What the server tells about itself."""

BASE = "/v2/models/{name}"


def server_metadata(_request: Request) -> Answer:
    """``GET /v2``."""
    return json_answer(SERVER)


def routes_of(
    model: LoadedModel, limits: Limits, ready: Callable[[], bool] = lambda: True
) -> dict[str, Route]:
    """The paths of one model, with and without its version; *ready* says whether traffic is wanted."""
    handlers = ModelProtocol(model, limits, ready)
    routes = {}
    for base in (f"/v2/models/{model.name}", f"/v2/models/{model.name}/versions/{model.version}"):
        routes[base] = Route(BASE, handlers.metadata)
        routes[f"{base}/ready"] = Route(f"{BASE}/ready", handlers.ready)
        routes[f"{base}/infer"] = Route(f"{BASE}/infer", post=handlers.infer, types=(JSON, OCTETS))
    return routes


class ModelProtocol:
    """Answers the protocol's calls about one model."""

    def __init__(self, model: LoadedModel, limits: Limits, ready: Callable[[], bool] = lambda: True) -> None:
        self._signature = Signature(model, limits)
        self._score = Scorer(model, limits)
        self._ready = ready

    def metadata(self, _request: Request) -> Answer:
        """``GET /v2/models/NAME``."""
        return json_answer(self._signature.metadata())

    def ready(self, _request: Request) -> Answer:
        """``GET /v2/models/NAME/ready``: the status says it, as that of ``/v2/health/ready``."""
        ready = self._ready()
        return json_answer({"name": self._signature.name, "ready": ready}, status=200 if ready else 503)

    def infer(self, request: Request) -> Answer:
        """``POST /v2/models/NAME/infer``. Raises Refused."""
        body, tail = split(request.body, dict(request.headers).get(JSON_LENGTH))
        content = parse_json(body)
        if not isinstance(content, dict):
            raise Refused(400, "the body must be an object")
        identity = _identity(content)
        chosen = self._chosen(content)
        columns = self._columns(content, tail)
        scored = self._score(Rows(columns.values, columns.rows))
        head = {"model_name": self._signature.name, "model_version": self._signature.version, **identity}
        return self._answer(head, chosen, scored)

    def _columns(self, content: Mapping[str, Any], tail: Tail) -> Columns:
        """The tensors of a request."""
        given = content.get("inputs")
        if not isinstance(given, list) or not given:
            raise Refused(400, "inputs must be a list of tensors")
        columns = Columns()
        for item in given:
            columns.add(*self._column(item, tail))
        tail.check_used_up()
        return columns

    def _column(self, item: Any, tail: Tail) -> tuple[Tensor, Column]:
        """One input tensor, and its values with an entry a row."""
        if not isinstance(item, dict):
            raise Refused(400, "an input must be an object with name, shape, datatype and data")
        size = _parameters(item).get("binary_data_size")
        needed = ("name", "shape", "datatype", "data") if size is None else ("name", "shape", "datatype")
        missing = [key for key in needed if key not in item]
        if missing:
            raise Refused(400, f"input {shown(item.get('name'))} has no {missing[0]!r}")
        name, datatype, shape = item["name"], item["datatype"], item["shape"]
        tensor = self._signature.input(name, datatype, binary=size is not None)
        if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= 2**31 for size in shape):
            raise Refused(400, f"input {name}: shape must be a list of whole numbers")
        rows = self._signature.rows(tensor, shape)
        if size is None:
            return tensor, tensor.rows(_from_json(name, datatype, shape, item["data"]))
        if "data" in item:
            raise Refused(400, f"input {name} has both data and binary_data_size")
        return tensor, tensor.rows(reader(name, datatype, rows * tensor.width)(tail.take(name, size)))

    def _chosen(self, content: Mapping[str, Any]) -> list[tuple[Tensor, bool]]:
        """The outputs asked for, all of them where none are named; and whether each is to be binary."""
        asked = content.get("outputs") or []
        if not isinstance(asked, list):
            raise Refused(400, "outputs must be a list of objects with a name")
        binary = _flag(_parameters(content), "binary_data_output", default=False)
        if not asked:
            return [(tensor, binary) for tensor in self._signature.outputs]
        chosen = []
        for item in asked:
            given = item if isinstance(item, dict) else {}
            tensor = self._signature.output(given.get("name"))
            chosen.append((tensor, _flag(_parameters(given), "binary_data", default=binary)))
        return chosen

    def _answer(self, head: dict[str, Any], chosen: Sequence[tuple[Tensor, bool]], scored: Scored) -> Answer:
        outputs, tails = [], []
        for tensor, binary in chosen:
            values = self._signature.values(tensor, scored.answers)
            shape = [len(scored.answers), *tensor.shape]
            output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": shape}
            if binary:
                tails.append(written(tensor.datatype, values))
                output["parameters"] = {"binary_data_size": len(tails[-1])}
            else:
                output["data"] = values
            outputs.append(output)
        body = orjson.dumps(head | {"outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
        if not tails:
            return Answer(200, body, scored=scored)
        length = ((JSON_LENGTH, b"%d" % len(body)),)
        return Answer(200, joined(body, tails), OCTETS, headers=length, scored=scored)


def _identity(content: Mapping[str, Any]) -> dict[str, str]:
    """The request's id, to be returned if it is given."""
    identity = content.get("id")
    if identity is not None and not isinstance(identity, str):
        raise Refused(400, "id must be a string")
    return {} if identity is None else {"id": identity}


def _parameters(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a request or a tensor. What is in them and unknown is ignored."""
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused(400, "parameters must be an object")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Refused(400, f"parameter {name} must be true or false")
    return value


def _from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> list[Any]:
    """Values in row-major order, from flat or nested data."""
    flat = _flat(data, shape)
    if flat is None:
        raise Refused(
            400, f"input {name}: data must have {math.prod(shape)} values, flat or in shape {shape}"
        )
    if datatype in WHOLE:
        check_whole(name, datatype, flat)
    return flat


def _flat(data: Any, shape: Sequence[int]) -> list[Any] | None:
    """The values in row-major order, or None if *data* is neither flat nor nested in *shape*."""
    if not isinstance(data, list):
        return None
    if len(shape) == 2 and len(data) == shape[0] and all(isinstance(row, list) for row in data):
        if any(len(row) != shape[1] for row in data):
            return None
        data = [value for row in data for value in row]
    return data if len(data) == math.prod(shape) else None
