"""The platform chart's values: generated files, refusals, and the value files in ci/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.rendering import CHARTS, Refused, render, template
from tests.helm.values import undocumented, values_in
from tools.charts.files import chart_files
from tools.charts.platform import PlatformValues
from tools.charts.render import leaf_keys

CHART = "fairlead-platform"
CI = sorted((CHARTS / CHART / "ci").glob("*.yaml"), key=lambda path: path.name)
PRODUCTION = yaml.safe_load((CHARTS / CHART / "ci/production.yaml").read_text(encoding="utf-8"))

KEYS = {"store": {"credentials": {"existingSecret": "fairlead-store"}}}
"""The one thing that has to be said."""


def with_keys(more: dict[str, Any]) -> dict[str, Any]:
    """*more*, with keys for the store."""
    return {**more, "store": {**KEYS["store"], **more.get("store", {})}}


# --------------------------------------------------------------------------------------------- generated


@pytest.mark.parametrize(
    "path", sorted(p for p, _ in chart_files(CHARTS) if CHART in p.parts), ids=lambda path: path.name
)
def test_a_generated_file_is_what_the_models_say(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == dict(chart_files(CHARTS))[path]


def test_every_group_of_the_schema_refuses_unknown_keys() -> None:
    schema = json.loads((CHARTS / CHART / "values.schema.json").read_text(encoding="utf-8"))
    groups = {"(top)": schema, **schema["$defs"]}
    assert [name for name, group in groups.items() if group.get("additionalProperties") is not False] == []


def test_every_value_is_documented() -> None:
    assert undocumented(PlatformValues) == []


# ---------------------------------------------------------------------------------------------------- ci


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
@pytest.mark.parametrize("more", [(), ("--is-upgrade",)], ids=["install", "upgrade"])
def test_a_ci_file_renders_under_each_helm(path: Path, more: tuple[str, ...], each_helm: str) -> None:
    assert render(each_helm, CHART, values_in(path), more=more).objects


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_a_ci_file_fits_the_models(path: Path) -> None:
    PlatformValues.model_validate(values_in(path))


def _keys(values: Any, known: set[str], prefix: str = "") -> set[str]:
    """The known keys that *values* sets, dotted."""
    if prefix[:-1] in known or not isinstance(values, dict):
        return {prefix[:-1]}
    return {key for name, value in values.items() for key in _keys(value, known, f"{prefix}{name}.")}


def test_the_ci_files_set_every_key() -> None:
    known = set(leaf_keys(PlatformValues()))
    assert known - {key for path in CI for key in _keys(values_in(path), known)} == set()


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_names_stay_within_63_characters_with_the_longest_release_name(path: Path, helm: str) -> None:
    values = values_in(path) | {"fullnameOverride": ""}
    names = [
        one["metadata"]["name"]
        for one in render(helm, CHART, values, release="x" * 53, more=("--is-upgrade",)).objects
    ]
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize("release", ["x", "x" * 40, "x" * 53], ids=len)
def test_a_cron_job_leaves_the_11_characters_its_jobs_need(release: str, helm: str) -> None:
    values = values_in(CHARTS / CHART / "ci/one-cluster.yaml")
    names = [one["metadata"]["name"] for one in render(helm, CHART, values, release=release).all("CronJob")]
    assert len(names) == 3
    assert max(map(len, names)) <= 52


# ---------------------------------------------------------------------------------------------- refusals

DAILY = {"name": "a", "schedule": "@daily", "project": f"s3://b/p.tar@sha256:{'0' * 64}"}
POSTGRES = {"database": {"existingSecret": "db"}}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # What the schema says: a key, a choice, a bound, a form.
    "unknown key": (with_keys({"mlflow": {}}), "additional properties 'mlflow' not allowed"),
    "unknown key inside": (with_keys({"tracking": {"replica": 2}}), "at '/tracking': additional properties 'replica' not"),
    "three drivers": (with_keys({"driver": {"replicas": 3}}), "at '/driver/replicas': maximum: got 3, want 2"),
    "unknown metadata": (with_keys({"store": {"server": {"metadata": "db"}}}), "value must be one of 'sidecar', 'xattr'"),
    "address without scheme": (with_keys({"store": {"endpoint": "s3.example.com"}}), "at '/store/endpoint'"),
    "project without digest": (
        with_keys({"schedules": [{"name": "a", "schedule": "@daily", "project": "s3://b/p.tar"}]}),
        "at '/schedules/0/project'",
    ),
    "no name of a backup": (with_keys({"restore": {"from": "yesterday"}}), "at '/restore/from'"),
    # What only the templates can say.
    "no keys": ({}, "the S3 server needs keys: `kubectl create secret generic fairlead-store --namespace serving"),
    "two kinds of keys": (
        {"store": {"credentials": {"existingSecret": "a", "accessKeyId": "b", "secretAccessKey": "c"}}},
        "store.credentials has both existingSecret and keys: leave one of them out",
    ),
    "half a pair": (
        {"store": {"credentials": {"accessKeyId": "b"}}},
        "store.credentials needs accessKeyId and secretAccessKey, both or none",
    ),
    "copies without keys": (
        with_keys({"clients": {"credentials": {"create": True}}}),
        "clients.credentials.create copies store.credentials.accessKeyId and secretAccessKey, which are empty",
    ),
    "server without bucket": (with_keys({"store": {"bucket": ""}}), "store.bucket is empty, but store.server is enabled"),
    "two stores": (
        with_keys({"store": {"endpoint": "https://s3.example.com"}}),
        "set store.server.enabled=false to use the one outside",
    ),
    "two MLflows": (with_keys({"tracking": {"uri": "http://a"}}), "set tracking.enabled=false to use that one"),
    "SQLite twice": (with_keys({"tracking": {"replicas": 2}}), "SQLite is a file that one server can use"),
    "volume twice": (
        with_keys({"tracking": {"replicas": 2, "artifacts": "volume", **POSTGRES}}),
        "artifacts are on a volume that one server mounts: set tracking.artifacts to s3://…",
    ),
    "route to no host": (with_keys({"tracking": {"route": {"enabled": True}}}), "without tracking.route.hosts"),
    "backup of PostgreSQL": (
        with_keys({"backup": {"enabled": True}, "tracking": POSTGRES}),
        "back it up where it runs (pg_dump, base backups, your cloud's snapshots)",
    ),
    "backup of nothing": (
        with_keys({"backup": {"enabled": True}, "tracking": {"enabled": False}}),
        "MLflow is not run here: set backup.enabled=false",
    ),
    "backup to nowhere": (
        {"backup": {"enabled": True}, "store": {"server": {"enabled": False}, "bucket": ""}},
        "set backup.destination to s3://bucket/prefix",
    ),
    "restore of PostgreSQL": (
        with_keys({"restore": {"from": "latest"}, "tracking": POSTGRES}),
        "restore PostgreSQL by its own tools",
    ),
    "restore from nowhere": (
        {"restore": {"from": "latest"}, "store": {"server": {"enabled": False}, "bucket": ""}},
        "restore.from names a backup, but there is no store: set backup.destination",
    ),
    "schedule elsewhere": (
        with_keys({"schedules": [{**DAILY, "namespace": "x"}]}),
        'schedules[0].namespace is "x", which is not one of runs.namespaces: fairlead-runs',
    ),
    "schedule nowhere": (
        with_keys({
            "runs": {"namespaces": []},
            "schedules": [DAILY],
        }),
        "there are schedules, but runs.namespaces is empty",
    ),
    "driver of nothing": (with_keys({"releases": {"namespaces": []}}), "driver is enabled, but releases.namespaces is empty"),
    "rights for everybody": (
        with_keys({"driver": {"serviceAccount": {"create": False}}}),
        "the namespace's default ServiceAccount would get the driver's rights; name one",
    ),
    "proxy out of reach": (with_keys({"proxy": {"http": "http://p:3128"}}), "networkPolicy.proxies is empty"),
    "name too long": (with_keys({"fullnameOverride": "x" * 41}), "fullnameOverride has 41 characters: give it at most 40"),
    "digest of an image": (with_keys({"images": {"mlflow": {"digest": "12"}}}), 'images.mlflow.digest is "12"'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_cannot_work_are_refused_with_advice(case: str, helm: str) -> None:
    values, advice = REFUSED[case]
    told = template(helm, CHART, values)
    assert isinstance(told, Refused)
    assert advice in told.message


def test_all_faults_are_told_at_once(helm: str) -> None:
    told = template(
        helm, CHART, {"releases": {"namespaces": []}, "tracking": {"uri": "http://a", "replicas": 2}}
    )
    assert isinstance(told, Refused)
    assert told.message.count("\n  * ") == 4
