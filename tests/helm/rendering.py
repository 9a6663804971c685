"""Charts rendered by the real helm, as typed objects.

A rendering is made
once for each chart, values, release and helm.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from tests.programs import find

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "helm"

Object = dict[str, Any]

KUBERNETES = "1.34.0"
"""What charts are rendered for. A helm built by `go install` believes in 1.20 if it is not told."""


# -------------------------------------------------------------------------------------------------- helm


@cache
def helms() -> dict[str, str]:
    """The helm programs there are, by major version: {"3": path, "4": path}; the first found of each counts."""
    found: dict[str, str] = {}
    for program in filter(None, map(find, ("helm", "helm4"))):
        told = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False)
        if version := re.match(r"v(\d+)\.", told.stdout):
            found.setdefault(version[1], program)
    return found


# ------------------------------------------------------------------------------------------- renderings


@dataclass(frozen=True)
class Rendered:
    """What a chart renders: every object as a dict, in the order of the output."""

    objects: tuple[Object, ...]

    def all(self, kind: str) -> list[Object]:
        """The objects of one kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        """The object *kind*/*name*; fails if there is none or more than one."""
        found = [one for one in self.all(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} of {kind}/{name}; there are {self.names()}"
        return found[0]

    def names(self) -> list[str]:
        """kind/name of every object."""
        return [f"{one['kind']}/{one['metadata']['name']}" for one in self.objects]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Name and pod spec of everything that becomes a pod."""
        for one in self.objects:
            spec = _pod_spec(one)
            if spec is not None:
                yield f"{one['kind']}/{one['metadata']['name']}", spec


def _pod_spec(one: Object) -> Object | None:
    paths = {
        "Pod": ("spec",),
        "PodTemplate": ("template", "spec"),
        "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    }
    path = paths.get(one["kind"], ("spec", "template", "spec"))
    for key in path:
        one = one.get(key, {}) if isinstance(one, dict) else {}
    return one if "containers" in one else None


@dataclass(frozen=True)
class Refused:
    """helm did not render: its message."""

    message: str


@cache
def _template(
    program: str, chart: str, values: str, release: str, namespace: str, more: tuple[str, ...]
) -> str | Refused:
    command = [
        program,
        "template",
        release,
        chart,
        "--namespace",
        namespace,
        "--kube-version",
        KUBERNETES,
        "--values",
        "-",
        *more,
    ]
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else Refused(done.stderr)


Render = Callable[..., Rendered]


def template(program: str, chart: str, values: Object | None = None, *, release: str = "fraud",
             namespace: str = "serving", more: tuple[str, ...] = ()) -> str | Refused:  # fmt: skip
    """The text ``helm template`` prints for *values*, or its refusal."""
    return _template(program, str(CHARTS / chart), json.dumps(values or {}), release, namespace, more)


def render(program: str, chart: str, values: Object | None = None, **options: Any) -> Rendered:
    """The objects of a chart; every built-in kind is checked against the Kubernetes client's types."""
    text = template(program, chart, values, **options)
    assert isinstance(text, str), text
    return objects_of(text)


@cache
def objects_of(text: str) -> Rendered:
    """The objects in the YAML *text*, checked."""
    objects = tuple(one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one)
    for one in objects:
        check_known(one)
    return Rendered(objects)


# ---------------------------------------------------------------------------------------------- types

BUILT_IN = re.compile(
    r"^(v1|apps/v1|batch/v1|autoscaling/v2|policy/v1|networking\.k8s\.io/v1|rbac\.authorization\.k8s\.io/v1)$"
)


class _Answer:
    """What the client's deserialiser expects of an HTTP response."""

    def __init__(self, data: str) -> None:
        self.data = data


def typed(one: Object) -> Any:
    """A built-in object as the Kubernetes client's model, such as V1Deployment."""
    version = one["apiVersion"].split("/")[-1]
    return client.ApiClient().deserialize(_Answer(json.dumps(one)), version.title() + one["kind"])


def check_known(one: Object) -> None:
    """Fail if *one*, a built-in object, has a key its type does not have, or a null.

    The client drops what it does not know, so an object that comes back changed had something it should not have.
    """
    if not BUILT_IN.match(one["apiVersion"]):
        return
    back = client.ApiClient().sanitize_for_serialization(typed(one))
    assert _normal(back) == _normal(one), f"{one['kind']}/{one['metadata']['name']}: {_difference(one, back)}"


def _normal(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _difference(given: Any, back: Any, path: str = "") -> str:
    """The first place where *back* lacks something of *given*."""
    if isinstance(given, dict) and isinstance(back, dict):
        for key in sorted({*given, *back}):
            if given.get(key) != back.get(key) or (key in given) != (key in back):
                return _difference(given.get(key), back.get(key), f"{path}.{key}")
    if isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for position, (left, right) in enumerate(zip(given, back, strict=True)):
            if left != right:
                return _difference(left, right, f"{path}[{position}]")
    return f"{path} is {given!r}, and the type knows {back!r}"
