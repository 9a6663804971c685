"""The software bill of materials of each image."""

import json
from typing import Any

import pytest
from tools.images.lock import Pin, pins
from tools.images.sbom import document
from tools.images.targets import TARGETS, Target

OWN = Pin("fairlead", "0.1.0", "fairlead-0.1.0-py3-none-any.whl", "", "0" * 64)


def written(target: Target) -> dict[str, Any]:
    installed = [*pins(target, "amd64"), *([OWN] if target.project else [])]
    found: dict[str, Any] = json.loads(document(target, installed))
    return found


def test_it_lists_exactly_what_is_installed(target: Target) -> None:
    listed = [
        (part["name"], part["version"], part["hashes"][0]["content"])
        for part in written(target)["components"]
    ]
    installed = [(pin.name, pin.version, pin.sha256) for pin in pins(target, "amd64")]
    own = [(OWN.name, OWN.version, OWN.sha256)] if target.project else []
    assert sorted(listed) == sorted([*installed, *own])


def test_every_package_has_an_address_that_scanners_know(target: Target) -> None:
    assert all(
        part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}" for part in written(target)["components"]
    )


def test_dependencies_name_only_what_is_listed(target: Target) -> None:
    found = written(target)
    known = {part["bom-ref"] for part in found["components"]} | {found["metadata"]["component"]["bom-ref"]}
    edges = found["dependencies"]
    assert {edge["ref"] for edge in edges} == known
    assert all(set(edge["dependsOn"]) <= known for edge in edges)


def test_the_same_packages_give_the_same_bytes() -> None:
    target = TARGETS["serve"]
    installed = pins(target, "amd64")
    assert document(target, installed) == document(target, installed)


def test_another_wheel_gives_another_serial_number() -> None:
    target = TARGETS["serve"]
    first, *rest = pins(target, "amd64")
    other = Pin(first.name, first.version, first.wheel, first.url, "0" * 64)
    serials = {json.loads(document(target, [pin, *rest]))["serialNumber"] for pin in (first, other)}
    assert len(serials) == 2


@pytest.mark.parametrize("key", ["bomFormat", "specVersion", "serialNumber", "metadata"])
def test_it_has_the_heads_that_cyclonedx_wants(key: str) -> None:
    assert written(TARGETS["serve"])[key]
