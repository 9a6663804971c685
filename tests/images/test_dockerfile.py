"""The Dockerfile, read as text: what it promises about every image."""

import re
from pathlib import Path

import pytest
from tools.images import bases, building
from tools.images.engines import Docker, engine
from tools.images.lock import ImageError
from tools.images.targets import DOCKERFILE, ROOT, TARGETS, Target

from fairlead import telemetry

TEXT = DOCKERFILE.read_text(encoding="utf-8")
CODE = re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE).replace("\\\n", " ")
STAGES = {
    found["name"]: found["body"]
    for found in re.finditer(r"^FROM (?P<body>\S+ AS (?P<name>\S+)\n(?:(?!FROM ).*\n?)*)", CODE, re.MULTILINE)
}


def test_there_is_a_stage_for_each_image(target: Target) -> None:
    assert target.name in STAGES


def test_an_image_is_the_runtime_and_its_own_packages(target: Target) -> None:
    stage = STAGES[target.name]
    assert stage.startswith("runtime AS ")
    assert f"COPY --from={target.name}-packages /opt/fairlead /opt/fairlead" in stage
    assert f"COPY dist/images/{target.name}.txt /requirements.txt" in STAGES[f"{target.name}-packages"]
    assert f"COPY dist/images/{target.name}.cdx.json /usr/share/sbom/" in stage
    assert "RUN" not in stage


def test_an_image_runs_as_a_number_that_is_not_root(target: Target) -> None:
    assert re.findall(r"^USER (\S+)", STAGES[target.name], re.MULTILINE) == ["65532:65532"]


@pytest.mark.parametrize("label", ["title", "description", "version", "revision", "created"])
def test_an_image_has_the_label(target: Target, label: str) -> None:
    assert f"org.opencontainers.image.{label}=" in STAGES[target.name]


@pytest.mark.parametrize(("name", "value"), telemetry.OFF.items())
def test_telemetry_is_off_in_every_image(name: str, value: str) -> None:
    assert re.search(rf"\b{name}={value}\b", STAGES["runtime"])


def test_only_the_serving_images_and_mlflow_open_a_port() -> None:
    assert {name: re.findall(r"^EXPOSE (\d+)", body, re.MULTILINE) for name, body in STAGES.items() if "EXPOSE" in body} == {
        "serve": ["8080"], "serve-sklearn": ["8080"], "mlflow": ["5000"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "word", ["apt-get", "apk ", "curl ", "wget ", "https://", "http://", "gcc", "# syntax="]
)
def test_nothing_is_fetched_while_an_image_is_built(word: str) -> None:
    assert word not in (TEXT if word.startswith("#") and TEXT.startswith(word) else CODE)


def test_every_base_is_a_build_argument_with_a_tag() -> None:
    froms = {body.split()[0] for body in STAGES.values()}
    arguments = {f"${{{name}}}" for name in bases.defaults()}
    assert froms - set(STAGES) == arguments
    assert all(
        re.search(r":[\w.-]+$", image) and not image.endswith(":latest")
        for image in bases.defaults().values()
    )


def test_all_that_is_copied_from_the_project_is_in_the_build_context() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", CODE, re.MULTILINE)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied
    assert all(any(Path(path).is_relative_to(root) for root in allowed) for path in copied)


# ------------------------------------------------------------------------------------------------- releases

DIGEST = "@sha256:" + "0" * 64


def test_a_release_is_refused_when_a_base_has_no_digest() -> None:
    with pytest.raises(ImageError) as refused:
        bases.require_digests(bases.chosen({"UV_IMAGE": f"registry.example.com/uv:1{DIGEST}"}))
    assert "PYTHON_IMAGE=" in str(refused.value)
    assert "HELM_IMAGE=" in str(refused.value)
    assert "UV_IMAGE=" not in str(refused.value)


def test_a_release_is_allowed_when_all_bases_have_one() -> None:
    bases.require_digests({name: f"{image}{DIGEST}" for name, image in bases.defaults().items()})


def test_a_refused_release_starts_no_build() -> None:
    missing = Docker(["docker-that-is-not-there"])
    with pytest.raises(ImageError, match="have no digest"):
        building.build(missing, TARGETS.values(), {}, registry="localhost", release=True)


def test_an_unknown_base_is_named_with_those_there_are() -> None:
    with pytest.raises(
        ImageError, match="PYTHON3_IMAGE: the Dockerfile has no such base image, only PYTHON_IMAGE"
    ):
        bases.chosen({"PYTHON3_IMAGE": "python:3"})


def test_an_engine_that_is_neither_is_refused() -> None:
    with pytest.raises(ImageError, match="kaniko: images are built with docker or buildah"):
        engine("kaniko --force")


def test_an_engine_keeps_its_own_options() -> None:
    assert engine("/usr/bin/docker --context 'my host'").command == (
        "/usr/bin/docker",
        "--context",
        "my host",
    )
