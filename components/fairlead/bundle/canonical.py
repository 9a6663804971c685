"""The same model as the same bytes, in any process: what a digest of a model needs before it can mean anything.

Converters leave traces of the process in their files: memory addresses as identifiers, times in zip members, sets in hash
order, padding bytes that nobody wrote. Here they are taken out. Each function gives a file that its library loads as
before and that answers as before.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file can state."""


# ---------------------------------------------------------------------------------------------------- ONNX


def canonical_onnx(model: ModelProto, name: str = "model") -> bytes:
    """ONNX as bytes that depend on the computation only.

    The graph gets the given name; nodes and the values between them are numbered in graph order (converters number them
    through dictionaries keyed by memory address); opset imports are sorted and stated once; the producer and all
    documentation strings are removed. Inputs and outputs of the graph keep their names.
    """
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for field in ("producer_name", "producer_version", "doc_string", "domain"):
        fixed.ClearField(field)
    fixed.ClearField("metadata_props")
    fixed.model_version = 1
    _sort_opsets(fixed)
    fixed.graph.name = name
    _renumber_graph(fixed.graph)
    return bytes(fixed.SerializeToString(deterministic=True))


def _sort_opsets(model: ModelProto) -> None:
    versions: dict[str, int] = {}
    for opset in model.opset_import:
        versions[opset.domain] = max(opset.version, versions.get(opset.domain, 0))
    del model.opset_import[:]
    for domain in sorted(versions):
        opset = model.opset_import.add()
        opset.domain, opset.version = domain, versions[domain]


def _renumber_graph(graph: GraphProto) -> None:
    kept = (*graph.input, *graph.output)
    _rename(graph, {"": "", **{value.name: value.name for value in kept}})


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Give every name in *graph* that is not in *names* a new one, in graph order, and the graphs inside it."""
    for value in graph.input:
        names.setdefault(value.name, f"input_{len(names)}")
    for tensor in graph.initializer:
        names.setdefault(tensor.name, f"constant_{len(names)}")
    for node in graph.node:
        for output in node.output:
            names.setdefault(output, f"value_{len(names)}")
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
        value.ClearField("doc_string")
    for position, node in enumerate(graph.node):
        node.name = f"{position}_{node.op_type}"
        node.ClearField("doc_string")
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
        for number, inner in enumerate(subgraphs(node)):
            inner.name = f"{node.name}_{number}"
            _rename(inner, dict(names))
    graph.ClearField("value_info")
    graph.ClearField("doc_string")


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The graphs a node holds (Scan, Loop, If)."""
    single = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return single + [graph for attribute in node.attribute for graph in attribute.graphs]


# --------------------------------------------------------------------------------------------------- skops

_VOLATILE = {"_stop_words_id"}
"""Attributes that hold a memory address. scikit-learn's text vectorisers compare this one and check again if it differs."""

_PLAIN = {"JsonNode", "TypeNode"}
"""Nodes without identity: two equal strings may or may not be one object, which depends on the process."""


def canonical_skops(data: bytes) -> bytes:
    """A skops file as bytes that depend on the saved object only.

    Identifiers are renumbered in order of appearance (skops takes them from memory addresses, and names the array files
    by them), sets are ordered, padding of record arrays is zeroed, members are stored uncompressed, in the order of
    their names, with a fixed time.

    Raises:
        zipfile.BadZipFile, KeyError: The bytes are not a skops file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(members.pop("schema.json"))
    numbering = _Numbering()
    text = json.dumps(numbering.visit(tree), indent=1)
    files = {numbering.files[name]: _canonical_member(name, content)
             for name, content in members.items() if name in numbering.files}  # fmt: skip
    return zip_of({"schema.json": text.encode(), **files})


class _Numbering:
    """Copies a skops schema with identifiers and file names given in order of appearance."""

    def __init__(self) -> None:
        self.ids: dict[int, int] = {}
        self.files: dict[str, str] = {}

    def visit(self, node: Any) -> Any:
        """The node, renumbered."""
        if isinstance(node, list):
            return [self.visit(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.get("__loader__") == "SetNode":
            node = {**node, "content": sorted(node["content"], key=_content)}
        return {key: self._value(key, value, node) for key, value in node.items() if self._stays(key, node)}

    def _stays(self, key: str, node: dict[str, Any]) -> bool:
        return not (key == "__id__" and node.get("__loader__") in _PLAIN)

    def _value(self, key: str, value: Any, node: dict[str, Any]) -> Any:
        if key == "__id__" and isinstance(value, int):
            return self.ids.setdefault(value, len(self.ids) + 1)
        if key == "file" and "__loader__" in node:
            suffix = value.rpartition(".")[2]
            return self.files.setdefault(value, f"{len(self.files):05d}.{suffix}")
        if key in _VOLATILE and isinstance(value, dict):
            return {**{name: part for name, part in value.items() if name != "__id__"}, "content": "0"}
        return self.visit(value)


def _content(node: Any) -> str:
    """A sort key for members of a set that knows nothing of identifiers."""
    return json.dumps(_Numbering().visit(node), sort_keys=True)


def _canonical_member(name: str, content: bytes) -> bytes:
    if not name.endswith(".npy"):
        return content
    buffer = io.BytesIO()
    np.save(buffer, without_padding(np.load(io.BytesIO(content), allow_pickle=False)), allow_pickle=False)
    return buffer.getvalue()


def without_padding(array: NDArray[Any]) -> NDArray[Any]:
    """The array with the bytes between the fields of its records set to zero.

    The nodes of scikit-learn's trees are such records, and their padding is whatever was in memory.
    """
    if array.dtype.names is None:
        return array
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def zip_of(members: dict[str, bytes]) -> bytes:
    """An uncompressed zip of the members in the order of their names, without times.

    >>> zip_of({"b": b"2", "a": b"1"}) == zip_of({"a": b"1", "b": b"2"})
    True
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), members[name])
    return buffer.getvalue()
