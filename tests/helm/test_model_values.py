"""The model chart's values: generated files, refusals, and the value files in ci/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.models import DIGEST, MANAGED, STATIC, with_values
from tests.helm.rendering import CHARTS, Refused, render, template
from tests.helm.values import undocumented, values_in
from tools.charts.files import chart_files
from tools.charts.model import ModelValues
from tools.charts.render import leaf_keys

CI = sorted((CHARTS / "fairlead-model/ci").glob("*.yaml"), key=lambda path: path.name)


# --------------------------------------------------------------------------------------------- generated


def test_generating_twice_gives_the_same_text() -> None:
    assert dict(chart_files(CHARTS)) == dict(chart_files(CHARTS))


def test_values_yaml_is_what_the_models_say() -> None:
    written = yaml.safe_load((CHARTS / "fairlead-model/values.yaml").read_text(encoding="utf-8"))
    assert ModelValues.model_validate(written) == ModelValues()


def test_every_group_of_the_schema_refuses_unknown_keys() -> None:
    schema = json.loads((CHARTS / "fairlead-model/values.schema.json").read_text(encoding="utf-8"))
    groups = {"(top)": schema, **schema["$defs"]}
    assert [name for name, group in groups.items() if group.get("additionalProperties") is not False] == []


def test_every_value_is_documented() -> None:
    assert undocumented(ModelValues) == []


# ---------------------------------------------------------------------------------------------------- ci


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_a_ci_file_renders_under_each_helm(path: Path, each_helm: str) -> None:
    assert render(each_helm, "fairlead-model", values_in(path)).objects


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_a_ci_file_fits_the_models(path: Path) -> None:
    ModelValues.model_validate(values_in(path))


def _keys(values: Any, known: set[str], prefix: str = "") -> set[str]:
    """The known keys that *values* sets, dotted."""
    if prefix[:-1] in known or not isinstance(values, dict):
        return {prefix[:-1]}
    return {key for name, value in values.items() for key in _keys(value, known, f"{prefix}{name}.")}


def test_the_ci_files_set_every_key() -> None:
    known = set(leaf_keys(ModelValues()))
    assert known - {key for path in CI for key in _keys(values_in(path), known)} == set()


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_names_stay_within_63_characters_with_the_longest_release_name(path: Path, helm: str) -> None:
    values = values_in(path) | {"fullnameOverride": ""}
    names = [
        one["metadata"]["name"] for one in render(helm, "fairlead-model", values, release="x" * 53).objects
    ]
    assert max(map(len, names)) <= 63


def test_two_long_release_names_with_the_same_beginning_do_not_collide(helm: str) -> None:
    one, other = (render(helm, "fairlead-model", release="x" * 50 + end).names() for end in "ab")
    assert not set(one) & set(other)


# ---------------------------------------------------------------------------------------------- refusals


GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
BUNDLE = MANAGED["bundle"]
JWT = {"issuer": "https://login.example.com", "audience": "fraud"}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # What the schema says: a key, a type, a choice, a bound.
    "unknown key": ({"replicaCount": 3}, "additional properties 'replicaCount' not allowed"),
    "unknown key inside": ({"traffic": {"hosts": ["a"]}}, "at '/traffic': additional properties 'hosts' not allowed"),
    "unknown mode": ({"mode": "canary"}, "at '/mode': value must be one of 'managed', 'static'"),
    "unknown format": ({"bundle": {"format": "pickle"}}, "value must be one of 'onnx', 'treelite', 'skops'"),
    "text for a number": ({"scale": {"maxReplicas": "many"}}, "at '/scale/maxReplicas': got string, want integer"),
    "no eviction ever": ({"scale": {"maxUnavailable": 0}}, "at '/scale/maxUnavailable': 'not' failed"),
    "relative prefix": ({"traffic": {"pathPrefix": "fraud"}}, "does not match pattern '^/'"),
    "no time at all": ({"traffic": {"timeoutSeconds": 0}}, "at '/traffic/timeoutSeconds': minimum: got 0, want 1"),
    "unknown interface": ({"serving": {"apis": ["soap"]}}, "at '/serving/apis/0': value must be 'graphql'"),
    "unknown algorithm": ({"access": {"jwt": {"algorithm": "HS256"}}}, "at '/access/jwt/algorithm': value must be one of"),
    "keys by http": ({"access": {"jwt": {"jwksUrl": "http://x"}}}, "at '/access/jwt/jwksUrl': 'http://x' does not match"),
    "log on a laptop": ({"log": {"target": "/var/log"}}, "at '/log/target': '/var/log' does not match pattern"),
    "no room for the log": ({"log": {"sizeMebibytes": 1}}, "at '/log/sizeMebibytes': minimum: got 1, want 128"),
    # What only the templates can say.
    "name too long": ({"fullnameOverride": "x" * 41}, "fullnameOverride has 41 characters: give it at most 40"),
    "name not a label": ({"fullnameOverride": "9_lives"}, "cannot name a Service: set fullnameOverride to lower-case"),
    "digest of an image": (
        {"images": {"serve": {"digest": "sha256:12"}}},
        'images.serve.digest is "sha256:12": a digest is sha256: and 64 hexadecimal digits',
    ),
    "tag in a repository": ({"images": {"tools": {"repository": "a/b:1"}}}, "put what follows ':' into images.tools.tag"),
    "digest of a bundle": ({"bundle": {**BUNDLE, "digest": "sha256:12"}}, "64 hexadecimal digits, without sha256:"),
    "bundle without a name": ({"bundle": {**BUNDLE, "name": ""}}, "it is the name the bundle was built with"),
    "baked and uri": ({"bundle": {**BUNDLE, "baked": True}}, "bundle comes from 2 places: set exactly one of uri,"),
    "no source": ({"bundle": {**BUNDLE, "uri": ""}}, "bundle comes from 0 places: set exactly one of uri,"),
    "source, no digest": ({"bundle": {**BUNDLE, "digest": ""}}, "bundle has a source and no digest: paste what"),
    "uri of a laptop": ({"bundle": {**BUNDLE, "uri": "file:///x"}}, "which pods cannot read: copy the bundle into a store"),
    "no probe rows": ({"bundle": {**BUNDLE, "probe": {}}}, "bundle.probe.rows is empty: a model gets traffic only after"),
    "preview is the host": (
        {"traffic": {"host": "a.b", "previewHost": "a.b"}},
        'traffic.previewHost and traffic.host are both "a.b": give the preview a host of its own',
    ),
    "preview by service": (
        {"traffic": {"backend": "service", "previewHost": "a.b"}},
        "a preview host needs the backend gateway; without one, call the Service of the slot",
    ),
    "gateway without class": ({"traffic": {"gateway": {"create": True}}}, "set traffic.gateway.className to one of"),
    "no gateway": ({"traffic": {"gateway": {"name": ""}}}, "traffic.gateway.name is empty: name a Gateway"),
    "certificate elsewhere": (
        {"traffic": {"gateway": {"tls": {"existingSecret": "tls"}}}},
        "the certificate belongs to the listener of the Gateway that exists",
    ),
    "more than most": (
        {"scale": {"minReplicas": 5, "maxReplicas": 4}},
        "scale.minReplicas is 5 and scale.maxReplicas 4: raise maxReplicas or lower minReplicas",
    ),
    "capacity over most": ({"capacity": {"replicas": 11}}, "the load needs 11 pods (capacity.replicas) and"),
    "gpu scaled on cpu": (GPU, "resources ask for nvidia.com/gpu and scale.autoscale is true: CPU does not show how busy"),
    "nothing to scale on": ({"scale": {"cpuPercent": 0}}, "scale.cpuPercent is 0 and there is no scale.podsMetric"),
    "half a metric": ({"scale": {"podsMetric": {"name": "x"}}}, "scale.podsMetric needs both name and averageValue"),
    "proxy out of reach": ({"proxy": {"http": "http://p:3128"}}, "networkPolicy.proxies is empty, so the pods could"),
    "peer of nothing": ({"networkPolicy": {"store": [{"port": 443}]}}, "networkPolicy.store[0] needs one of namespace and cidr"),
    "gRPC on the port of HTTP": (
        {"serving": {"grpc": {"enabled": True, "port": 8080}}},
        "serving.grpc.port is 8080, the port of HTTP: choose another, such as 9000",
    ),
    "keys without the internal credential": (
        {"access": {"keysSecret": {"name": "k"}}},
        "access has keys or tokens and no internalTokenSecret, so `helm test` and copies to a shadow would be refused",
    ),
    "tokens from two places": (
        {"access": {"jwt": {**JWT, "publicKeySecret": {"name": "p"}, "jwksUrl": "https://a.b"}}},
        "access.jwt has both jwksUrl and publicKeySecret: keep the one",
    ),
    "tokens for anybody": (
        {"access": {"jwt": {"publicKeySecret": {"name": "p"}}}},
        "access.jwt needs issuer and audience: without them a token made for another service would do here",
    ),
    "a Secret without its key": (
        {"access": {"internalTokenSecret": {"name": "t", "key": ""}}},
        "the Secret t is named without a key: say which of its keys is meant",
    ),
    "issuer out of reach": (
        {"access": {"jwt": {**JWT, "jwksUrl": "https://a.b/keys"}}},
        "networkPolicy.services is empty, so the pods could not reach https://a.b/keys: list the addresses",
    ),
    "collector out of reach": (
        {"serving": {"tracing": {"endpoint": "http://c:4318"}}},
        "networkPolicy.services is empty, so the pods could not reach http://c:4318",
    ),
    "log to nowhere": (
        {"log": {"enabled": True}},
        "the log has 0 places to go to: set exactly one of log.target (s3://bucket/prefix) and log.volume.claimName",
    ),
    "log to two places": (
        {"log": {"enabled": True, "target": "s3://a", "volume": {"claimName": "b"}}},
        "the log has 2 places to go to",
    ),
    "place for a log that is off": (
        {"log": {"target": "s3://a"}},
        "the log has a place to go to and log.enabled is false: set it to true",
    ),
    "log beside its volume": (
        {"log": {"enabled": True, "volume": {"claimName": "b", "path": "../c"}}},
        'log.volume.path is "../c", which leaves the volume',
    ),
    "static bundle at the top": ({"mode": "static", "bundle": BUNDLE}, "put the section bundle under static.blue"),
    "slot in mode managed": ({"static": {"blue": {"bundle": BUNDLE}}}, "put its section bundle at the top, or set mode: static"),
    "static without weights": (
        with_values(STATIC, {"static": {"blue": {"weight": 0}, "green": {"weight": 0}}}),
        "static.blue.weight and static.green.weight are both 0: nothing would get traffic",
    ),
    "weight without pods": (
        with_values(STATIC, {"static": {"green": {"replicas": 0, "weight": 5}}}),
        "static.green.weight is set and the slot has no pods, so its share would be answered with 503",
    ),
    "live without pods": (
        with_values(STATIC, {"static": {"live": "green", "green": {"bundle": {"digest": "", "uri": ""}, "weight": 0}}}),
        "static.live is green, which has no pods: give static.green a bundle and replicas",
    ),
    "slot above most": (
        with_values(STATIC, {"static": {"green": {"replicas": 11}}}),
        "static.green.replicas is more than scale.maxReplicas, 10",
    ),
    "digest of a slot's image": (
        with_values(STATIC, {"static": {"green": {"image": {"digest": DIGEST}}}}),
        "static.green.image.digest is",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("values", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_values_are_refused_with_advice(values: dict[str, Any], message: str, helm: str) -> None:
    refusal = template(helm, "fairlead-model", values)
    assert isinstance(refusal, Refused)
    assert message in refusal.message


def test_all_that_is_wrong_is_said_at_once(helm: str) -> None:
    values = {**GPU, "scale": {"minReplicas": 5, "maxReplicas": 4}}
    refusal = template(helm, "fairlead-model", values)
    assert isinstance(refusal, Refused)
    assert refusal.message.count("\n  * ") == 2


def test_as_a_dependency_of_another_chart_it_takes_its_global_values(helm: str) -> None:
    assert render(helm, "fairlead-model", {"global": {"anything": 1}}).objects


NUMERIC: dict[str, dict[str, Any]] = {
    "pods": {
        "images": {"pullSecrets": ["7"], "serve": {"repository": "7", "tag": "7"}},
        "scheduling": {
            "priorityClassName": "7",
            "runtimeClassName": "7",
            "nodeSelector": {"7": "7"},
            "topologySpread": [{"topologyKey": "7"}],
        },
        "trust": {"configMap": "7", "key": "7"},
        "serviceAccount": {"name": "7"},
        "podLabels": {"a": "7"},
        "podAnnotations": {"a": "true"},
        "bundle": {"existingSecret": "7", "environment": "7"},
    },
    "volume": {"bundle": {"uri": "", "volume": {"claimName": "7", "path": "7"}}},
    "access": {
        "access": {
            "keysSecret": {"name": "7", "key": "7"},
            "internalTokenSecret": {"name": "8", "key": "8"},
            "jwt": {"publicKeySecret": {"name": "9", "key": "9"}, "issuer": "7", "audience": "null"},
            "corsOrigins": ["*"],
        }
    },
    "log": {
        "log": {
            "enabled": True,
            "volume": {"claimName": "7", "path": "7"},
            "saltSecret": {"name": "7", "key": "7"},
        }
    },
    "log in a bucket": {
        "log": {"enabled": True, "target": "s3://7", "existingSecret": "7", "environment": "7"}
    },
    "scale": {"scale": {"podsMetric": {"name": "7", "averageValue": 7}}},
    "network": {
        "networkPolicy": {
            "monitoringNamespace": "7",
            "clientNamespaces": ["8"],
            "store": [{"namespace": "9"}],
        }
    },
    "objects": {"labels": {"a": "7"}, "annotations": {"a": "null"}},
}


@pytest.mark.parametrize("more", NUMERIC.values(), ids=NUMERIC)
def test_text_that_looks_like_a_number_stays_text(more: dict[str, Any], helm: str) -> None:
    assert render(
        helm, "fairlead-model", with_values(MANAGED, more)
    ).objects  # render compares with the types


@pytest.mark.parametrize("name", ["true", "null", "on", "y"])
def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(name: str, helm: str) -> None:
    for values in (MANAGED, STATIC):
        rendered = render(helm, "fairlead-model", values, release=name)
        assert {one["metadata"]["labels"]["fairlead.dev/model"] for one in rendered.objects} == {name}
        assert rendered.one("Service", name)
