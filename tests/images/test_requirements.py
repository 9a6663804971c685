"""What goes into each image, by the lock."""

import tomllib

import pytest
from tools.images import lock
from tools.images.lock import MACHINES, SOURCE_ONLY, pins
from tools.images.targets import LOCK, TARGETS, Target


def names(target: str) -> set[str]:
    return {pin.name for pin in pins(TARGETS[target], "amd64")}


KFP_NEEDS = {"kfp-kubernetes", "kfp-pipeline-spec", "kfp-server-api", "kubernetes", "google-cloud-storage", "google-api-core",
             "requests-toolbelt", "docstring-parser", "tabulate"}  # fmt: skip

HAS = [
    (
        "pipeline",
        {"kfp", "typing-extensions", "bentoml", "mlflow", "onnx", "psycopg-binary", "pillow", "pyarrow"},
    ),
    ("serve", {"bentoml", "onnxruntime", "orjson", "uvicorn", "uvloop", "httptools", "numpy"}),
    ("serve-sklearn", {"bentoml", "onnxruntime", "scikit-learn", "skops", "treelite"}),
    ("tools", {"kfp", "kfp-kubernetes", "kubernetes", "mlflow-skinny", "pyarrow", "typer"}),
    ("mlflow", {"mlflow", "psycopg", "psycopg-binary", "boto3"}),
]

HAS_NOT = [
    ("pipeline", KFP_NEEDS),
    (
        "serve",
        {"kfp", "mlflow", "mlflow-skinny", "onnx", "pandas", "pyarrow", "scikit-learn", "scipy", "treelite"},
    ),
    ("serve-sklearn", {"kfp", "mlflow", "onnx", "pandas", "pyarrow"}),
    ("tools", {"bentoml", "mlflow", "onnxruntime", "pandas", "scikit-learn"}),
    ("mlflow", {"bentoml", "kfp", "onnx", "optuna"}),
]

DEVELOPMENT = {"mypy", "pytest", "ruff", "hypothesis"}


@pytest.mark.parametrize(("image", "packages"), HAS, ids=[image for image, _ in HAS])
def test_an_image_has_what_it_is_for(image: str, packages: set[str]) -> None:
    assert packages <= names(image)


@pytest.mark.parametrize(("image", "packages"), HAS_NOT, ids=[image for image, _ in HAS_NOT])
def test_an_image_has_nothing_it_is_not_for(image: str, packages: set[str]) -> None:
    assert not packages & names(image)


def test_tools_has_all_that_the_pipeline_image_leaves_out_of_kfp() -> None:
    assert names("tools") >= KFP_NEEDS  # so that these are still the names of what kfp needs


def test_no_image_has_development_tools(target: Target) -> None:
    assert not DEVELOPMENT & names(target.name)


@pytest.mark.parametrize("architecture", MACHINES)
def test_every_package_has_one_wheel_of_the_lock(target: Target, architecture: str) -> None:
    locked = tomllib.loads(LOCK.read_text())["package"]
    files = {
        (p["name"], p["version"], f["hash"])
        for p in locked
        for f in [*p.get("wheels", []), p.get("sdist", {})]
        if f
    }
    chosen = pins(target, architecture)
    assert {(pin.name, pin.version, f"sha256:{pin.sha256}") for pin in chosen} <= files
    assert len({pin.name for pin in chosen}) == len(chosen)


@pytest.mark.parametrize(("architecture", "machine"), MACHINES.items())
def test_a_wheel_with_machine_code_is_for_the_architecture(architecture: str, machine: str) -> None:
    wheels = {pin.name: pin.wheel for pin in pins(TARGETS["serve"], architecture)}
    assert machine in wheels["onnxruntime"]
    assert "manylinux" in wheels["onnxruntime"]


def test_packages_made_from_source_really_have_no_wheel() -> None:
    locked = tomllib.loads(LOCK.read_text())["package"]
    assert all(not p.get("wheels") for p in locked if p["name"] in SOURCE_ONLY)


def wheel(tags: str) -> dict[str, str]:
    return {"url": f"https://example.org/x/x-1.0-{tags}.whl", "hash": "sha256:ab"}


UNFIT = [
    "cp311-cp311-win_amd64",
    "cp311-cp311-macosx_11_0_arm64",
    "cp311-cp311-musllinux_1_2_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp311-cp311-manylinux_2_39_x86_64",
    "cp311-cp311-manylinux_2_17_aarch64",
]


@pytest.mark.parametrize("tags", UNFIT)
def test_a_wheel_for_elsewhere_does_not_fit(tags: str) -> None:
    assert not list(lock._fitting([wheel(tags)], "amd64"))


def test_of_several_wheels_the_most_specific_is_taken() -> None:
    offered = [
        wheel("py3-none-any"),
        wheel("cp311-abi3-manylinux_2_17_x86_64"),
        wheel("cp311-cp311-manylinux_2_28_x86_64"),
    ]
    best = min(lock._fitting(offered, "amd64"))
    assert best[1] == "x-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"


def test_a_package_without_a_wheel_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        lock, "_locked", lambda: {("slow", "1.0"): {"wheels": [wheel("cp311-cp311-win_amd64")]}}
    )
    with pytest.raises(lock.ImageError, match=r"slow 1\.0 has no wheel for Python 3\.11 on amd64"):
        lock._pin("slow", "1.0", "amd64")
