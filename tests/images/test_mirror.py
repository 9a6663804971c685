"""The list of images for a registry without a way out."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tools.images import bases, mirror
from tools.images.building import tag_of
from tools.images.targets import ROOT, TARGETS


def test_it_has_what_images_are_built_from() -> None:
    assert set(bases.defaults().values()) <= set(mirror.images())


def test_it_has_every_image_of_the_project() -> None:
    assert {tag_of(target) for target in TARGETS.values()} <= set(mirror.images())


def test_every_entry_has_a_tag_or_a_digest() -> None:
    assert all(re.fullmatch(r"[\w.:/-]+(:[\w.-]+|@sha256:[0-9a-f]{64})", image) for image in mirror.images())


def test_no_entry_is_a_moving_tag() -> None:
    assert not [image for image in mirror.images() if image.endswith(":latest")]


VALUES = [
    ({"tag": "1", "digest": ""}, "example.org/a:1"),
    ({"tag": "", "digest": ""}, "example.org/a:2.0"),
    ({}, "example.org/a:2.0"),
    ({"tag": "1", "digest": "sha256:ab"}, "example.org/a@sha256:ab"),
]


@pytest.mark.parametrize(
    ("image", "reference"), VALUES, ids=["tag", "appVersion", "repository-only", "digest"]
)
def test_an_image_of_values_is_named_as_the_chart_names_it(image: dict[str, str], reference: str) -> None:
    values = {"deep": [{"er": {"repository": "example.org/a", **image}}]}
    assert list(mirror.images_in(values, "2.0")) == [reference]


def test_an_image_that_is_off_is_left_out() -> None:
    assert not list(mirror.images_in({"shipper": {"repository": "", "tag": ""}}, "1"))


RELEASES = sorted((ROOT / "helm").glob("*/ci/*.yaml"))


@pytest.mark.parametrize("values", RELEASES, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_the_repository_of_every_image_that_a_chart_renders_is_listed(values: Path) -> None:
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip("helm is not on the PATH")
    command = [
        helm,
        "template",
        "x",
        str(values.parent.parent),
        "--kube-version=1.34.0",
        f"--values={values}",
    ]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    images = {image for document in yaml.safe_load_all(rendered) for image in mirror.containers_in(document)}
    # Values in ci/ set tags, digests and an example's registry: what must be listed is the repository.
    used = {_repository(image) for image in images if "example.com" not in image}
    assert used <= {_repository(image) for image in mirror.images()}


def _repository(image: str) -> str:
    return re.sub(r"(@sha256:\w+|:[\w.-]+)$", "", image)
