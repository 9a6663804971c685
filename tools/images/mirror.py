"""Every image that an installation pulls or a build starts from, for a registry without a way out.

The list is read from the files that name images (the Dockerfile, the charts' values, the manifests), so it cannot fall
behind them. Images under ``localhost`` are the project's own: they are built, and pushed to that registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.images import bases
from tools.images.building import tag_of
from tools.images.targets import ROOT, TARGETS


def images() -> list[str]:
    """All of them, each once, in alphabetical order."""
    own = map(tag_of, TARGETS.values())  # no chart names `pipeline`: the compiled flows do
    named = (*_of_charts(ROOT / "helm"), *_of_manifests(ROOT / "manifests"))
    return sorted({*bases.defaults().values(), *own, *named})


def _of_charts(folder: Path) -> Iterator[str]:
    for chart in sorted(folder.glob("*/Chart.yaml")):
        version = str(yaml.safe_load(chart.read_text(encoding="utf-8"))["appVersion"])
        values = yaml.safe_load((chart.parent / "values.yaml").read_text(encoding="utf-8"))
        yield from images_in(values, version)


def images_in(values: Any, app_version: str) -> Iterator[str]:
    """The images of a chart's values: mappings with ``repository``, and ``tag`` or ``digest`` where they are set.

    >>> list(images_in({"images": {"serve": {"repository": "fairlead/serve", "tag": "", "digest": ""}}}, "0.1.0"))
    ['fairlead/serve:0.1.0']
    """
    if isinstance(values, dict):
        if values.get("repository"):
            yield reference(values, app_version)
        values = values.values()
    elif not isinstance(values, list):
        return
    for value in values:
        yield from images_in(value, app_version)


def reference(image: dict[str, Any], app_version: str) -> str:
    """An image of a chart's values as one word: the digest if there is one, else the tag, else the chart's appVersion."""
    if image.get("digest"):
        return f"{image['repository']}@{image['digest']}"
    return f"{image['repository']}:{image.get('tag') or app_version}"


def _of_manifests(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            yield from containers_in(document)


def containers_in(document: Any) -> Iterator[str]:
    """The value of every ``image`` key of a manifest, and what a kustomization puts in an image's place.

    >>> list(containers_in({"spec": {"containers": [{"name": "a", "image": "example.org/a:1"}]}}))
    ['example.org/a:1']
    >>> list(containers_in({"images": [{"name": "a", "newName": "example.org/a", "newTag": "1"}]}))
    ['example.org/a:1']
    """
    if isinstance(document, dict):
        if isinstance(document.get("image"), str):
            yield document["image"]
        if "newTag" in document or "newName" in document:
            yield f"{document.get('newName', document['name'])}:{document.get('newTag', 'latest')}"
        document = document.values()
    elif not isinstance(document, list):
        return
    for part in document:
        yield from containers_in(part)
