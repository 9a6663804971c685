"""The software bill of materials of an image's Python packages: CycloneDX, from the lock.

uv writes the document for all platforms of the lock; it is cut down to what is installed, and says which wheel. Packages
of the base image and of Helm are not in it: their own images' SBOMs describe them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from tools.images.lock import Pin, export
from tools.images.provenance import version
from tools.images.targets import Target


def document(target: Target, pins: Sequence[Pin]) -> str:
    """The SBOM of *target* as JSON; the same packages give the same text.

    Args:
        target: The image.
        pins: Everything that is installed, the project included if it is.
    """
    exported = json.loads(export(target, "cyclonedx1.5"))
    installed = {(pin.name, pin.version): pin for pin in pins}
    root = exported["metadata"]["component"]
    kept = [
        _component(part, installed[part["name"], part["version"]])
        for part in (root, *exported["components"])
        if (part["name"], part["version"]) in installed
    ]
    image = {
        "type": "container",
        "bom-ref": f"fairlead/{target.name}",
        "name": f"fairlead/{target.name}",
        "version": version(),
    }
    return _as_json(image, exported["metadata"]["tools"], kept, exported["dependencies"])


def _component(exported: dict[str, Any], pin: Pin) -> dict[str, Any]:
    """uv's entry for a package, with the one wheel that is installed in place of all files of that version."""
    identity: dict[str, Any] = {
        name: exported[name] for name in ("bom-ref", "name", "version", "purl") if name in exported
    }
    hashes = [{"alg": "SHA-256", "content": pin.sha256}]
    source = [{"type": "distribution", "url": pin.url}] if pin.url else []
    return {"type": "library", "purl": f"pkg:pypi/{pin.name}@{pin.version}", **identity, "hashes": hashes,
            "externalReferences": source}  # fmt: skip


def _as_json(
    image: dict[str, Any],
    tools: list[dict[str, Any]],
    components: list[dict[str, Any]],
    dependencies: list[dict[str, Any]],
) -> str:
    present = {part["bom-ref"] for part in components}
    edges = [
        {"ref": edge["ref"], "dependsOn": [ref for ref in edge.get("dependsOn", []) if ref in present]}
        for edge in dependencies
        if edge["ref"] in present
    ]
    body = {
        "metadata": {"tools": tools, "component": image},
        "components": components,
        "dependencies": [{"ref": image["bom-ref"], "dependsOn": sorted(present)}, *edges],
    }
    # No date: the image's label has one, and the document is the same whenever it is made. The specification wants a
    # serial number that is new when the content is.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    head = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "serialNumber": f"urn:uuid:{serial}",
    }
    return json.dumps({**head, **body}, indent=1) + "\n"
