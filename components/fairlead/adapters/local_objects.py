"""Kubernetes' objects without Kubernetes: a file that the release driver reads and writes on a laptop.

It keeps whole objects in one JSON file, gives each write a new resourceVersion and refuses one that was decided on an older one,
as an API server does. So the driver that runs in a cluster runs here unchanged; ``fairlead.local.slots`` plays the
controllers. Several processes may use the file: each operation holds a lock, and each write replaces the file whole.
"""

from __future__ import annotations

import copy
import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead.atomic import write_text
from fairlead.errors import Conflict, IntegrityError

Object = dict[str, Any]
NAMESPACE = "local"


class LocalCluster:
    """Fulfils :class:`fairlead.release.observe.Cluster` with a folder."""

    def __init__(self, folder: Path) -> None:
        """Keep the objects in *folder*, which is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "objects.json"
        self._lock = folder / "objects.lock"

    # ------------------------------------------------------------------------------------------------- reading

    def find(self, kind: str, _namespace: str, labels: str) -> list[Object]:
        """All objects of *kind* that the label selector (``key=value,key``) matches, by name."""
        with self._locked():
            objects = self._read()["objects"].values()
        wanted = [part.partition("=") for part in labels.split(",")]
        found = [item for item in objects if item["kind"] == kind and _matches(item, wanted)]
        return sorted(found, key=lambda item: str(item["metadata"]["name"]))

    def get(self, kind: str, name: str) -> Object | None:
        """The object, if there is one."""
        with self._locked():
            found: Object | None = self._read()["objects"].get(f"{kind}/{name}")
        return found

    # ------------------------------------------------------------------------------------------------- writing

    def create(self, body: Object) -> Object:
        """Make an object; events are not kept. Raises Conflict if there is one."""
        if body["kind"] == "Event":
            return body
        return self._write(body["kind"], body["metadata"]["name"], None, lambda _: copy.deepcopy(body))

    def replace(self, body: Object) -> Object:
        """Overwrite the object that has the resourceVersion in *body*."""
        metadata = body["metadata"]
        return self._write(
            body["kind"], metadata["name"], metadata["resourceVersion"], lambda _: copy.deepcopy(body)
        )

    def patch(self, kind: str, _namespace: str, name: str, operations: list[Object]) -> Object:
        """Apply a JSON patch of members of metadata and spec, one of which is the resourceVersion."""

        def change(item: Object) -> Object:
            for operation in operations:
                _, section, member = operation["path"].split("/")
                item[section][member] = copy.deepcopy(operation["value"])
            return item

        sent = next(each["value"] for each in operations if each["path"] == "/metadata/resourceVersion")
        return self._write(kind, name, sent, change)

    def apply(self, body: Object) -> Object:
        """Set members of spec, with the resourceVersion in *body*."""
        metadata = body["metadata"]

        def change(item: Object) -> Object:
            return {**item, "spec": {**item.get("spec", {}), **copy.deepcopy(body["spec"])}}

        return self._write(body["kind"], metadata["name"], metadata["resourceVersion"], change)

    def annotate(self, kind: str, _namespace: str, name: str, annotations: dict[str, str]) -> None:
        """Set annotations, whatever resourceVersion the object has."""

        def change(item: Object) -> Object:
            item["metadata"]["annotations"] = {**item["metadata"].get("annotations", {}), **annotations}
            return item

        self._write(kind, name, ANY, change)

    def scale(self, _namespace: str, name: str, replicas: int, version: str) -> None:
        """Set a Deployment's number of pods."""

        def change(item: Object) -> Object:
            item["spec"]["replicas"] = replicas
            return item

        self._write("Deployment", name, version, change)

    def put(self, item: Object) -> Object:
        """Make or overwrite an object, whatever is there; an equal one is left alone."""
        kind, name = item["kind"], item["metadata"]["name"]
        before = self.get(kind, name)
        if before is not None and _said(before, item) == _said(item, item):
            return before
        return self._write(kind, name, ANY, lambda _: copy.deepcopy(item))

    def report(self, kind: str, name: str, status: Object) -> None:
        """Set the status of an object, which is no new specification."""
        found = self.get(kind, name)
        if found is not None and found.get("status") != status:
            self._write(kind, name, ANY, lambda item: {**item, "status": status})

    def remove(self, kind: str, name: str) -> None:
        """Remove an object, if it is there."""
        with self._locked():
            state = self._read()
            if state["objects"].pop(f"{kind}/{name}", None) is not None:
                self._keep(state)

    # ------------------------------------------------------------------------------------------------ the file

    def _write(self, kind: str, name: str, sent: str | None, change: Callable[[Object], Object]) -> Object:
        with self._locked():
            state = self._read()
            key = f"{kind}/{name}"
            found = state["objects"].get(key)
            held = found["metadata"]["resourceVersion"] if found else None
            if sent is not ANY and held != sent:
                raise Conflict(f"{key} has resourceVersion {held}, and {sent} was decided on")
            item = change(copy.deepcopy(found) if found else {})
            state["version"] += 1
            metadata = item["metadata"] = {**item["metadata"], "namespace": NAMESPACE}
            metadata["resourceVersion"] = str(state["version"])
            metadata.setdefault("uid", found["metadata"]["uid"] if found else f"local-{state['version']}")
            before = found["metadata"]["generation"] if found else 0
            changed = found is None or found.get("spec") != item.get("spec")
            metadata["generation"] = before + changed
            state["objects"][key] = item
            self._keep(state)
            return copy.deepcopy(item)

    def _read(self) -> Object:
        try:
            state: Object = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"version": 0, "objects": {}}
        except ValueError as cause:
            raise IntegrityError(
                f"{self._file} is damaged: {cause}",
                hint="Remove it: what is live is then the champion again, and the history of releases is lost.",
            ) from cause
        return state

    def _keep(self, state: Object) -> None:
        write_text(self._file, json.dumps(state, indent=1, sort_keys=True))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


ANY = "any"
"""A resourceVersion that no write is refused for."""


def _matches(item: Object, wanted: list[tuple[str, str, str]]) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(key in labels and (not equal or labels[key] == value) for key, equal, value in wanted)


def _said(item: Object, wanted: Object) -> Object:
    """What *item* says of all that *wanted* speaks of."""
    metadata = {key: item["metadata"].get(key) for key in wanted["metadata"]}
    return {**{key: item.get(key) for key in wanted}, "metadata": metadata}
