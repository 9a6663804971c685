"""What each kustomization renders, by the real kubectl, and that its names are those of charts and code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.rendering import helms, render
from tests.programs import find
from tools.charts.platform import PlatformValues

from fairlead.runners.pods import manifests

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
Object = dict[str, Any]

KUSTOMIZATIONS = sorted(
    str(path.parent.relative_to(MANIFESTS))
    for path in MANIFESTS.rglob("kustomization.yaml")
    if yaml.safe_load(path.read_text(encoding="utf-8"))["kind"] == "Kustomization"
)


def _kubectl() -> str:
    found = find("kubectl")
    if found is None:
        pytest.skip("no kubectl: set KUBECTL or put it on the PATH")
    return found


@cache
def objects(folder: str) -> tuple[Object, ...]:
    """What `kubectl kustomize` renders of a folder of manifests/."""
    done = subprocess.run(
        [_kubectl(), "kustomize", str(MANIFESTS / folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def one(folder: str, kind: str, name: str) -> Object:
    [found] = [
        found for found in objects(folder) if found["kind"] == kind and found["metadata"]["name"] == name
    ]
    return found


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_a_kustomization_renders(folder: str) -> None:
    assert objects(folder)


def test_every_file_is_listed_by_its_kustomization_or_named_in_the_readme() -> None:
    readme = (MANIFESTS / "README.md").read_text(encoding="utf-8")
    for path in MANIFESTS.rglob("*.yaml"):
        beside = path.parent / "kustomization.yaml"
        listed = beside.exists() and (path == beside or path.name in beside.read_text(encoding="utf-8"))
        sample = path.parts[len(MANIFESTS.parts)] == "gitops"
        assert listed or sample or path.name in readme, path


# -------------------------------------------------------------------------------------- namespaces


@pytest.mark.parametrize("folder", ["base", "overlays/dev", "overlays/production"])
def test_every_namespace_refuses_pods_that_are_not_restricted(folder: str) -> None:
    found = {
        one["metadata"]["name"]: one["metadata"]["labels"]
        for one in objects(folder)
        if one["kind"] == "Namespace"
    }
    assert set(found) == {"fairlead-system", "fairlead-runs", "fairlead-serving"}
    assert {labels["pod-security.kubernetes.io/enforce"] for labels in found.values()} == {"restricted"}


def test_the_namespaces_are_the_charts_defaults() -> None:
    values = PlatformValues()
    named = {one["metadata"]["name"] for one in objects("base")}
    assert {*values.runs.namespaces, *values.releases.namespaces} == named - {"fairlead-system"}


def test_production_denies_all_traffic_in_every_namespace() -> None:
    policies = [one for one in objects("overlays/production") if one["kind"] == "NetworkPolicy"]
    assert {one["metadata"]["namespace"] for one in policies} == {
        "fairlead-system",
        "fairlead-runs",
        "fairlead-serving",
    }
    assert all(one["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for one in policies)


def test_production_bounds_what_runs_and_models_may_take() -> None:
    quotas = {
        one["metadata"]["namespace"]: one["spec"]["hard"]
        for one in objects("overlays/production")
        if one["kind"] == "ResourceQuota"
    }
    assert set(quotas) == {"fairlead-runs", "fairlead-serving"}
    assert quotas["fairlead-serving"]["services.loadbalancers"] == "0"


def test_production_refuses_the_profile_demo_where_namespaces_are_labelled_so() -> None:
    policy = one("overlays/production", "ValidatingAdmissionPolicy", "fairlead-refuse-demo")
    binding = one("overlays/production", "ValidatingAdmissionPolicyBinding", "fairlead-refuse-demo")
    assert policy["spec"]["matchConstraints"]["objectSelector"]["matchLabels"] == {
        "fairlead.dev/role": "policy"
    }
    [expression] = [rule["expression"] for rule in policy["spec"]["validations"]]
    pattern = re.search(r"matches\('(.*)'\)", expression)
    assert pattern is not None
    forbidden = pattern[1].replace("\\\\", "\\")
    assert re.search(forbidden, json.dumps({"profile": "demo"}))
    assert re.search(forbidden, json.dumps({"profile": "demo"}, separators=(",", ":")))
    assert not re.search(forbidden, json.dumps({"profile": "default"}))
    selected = binding["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]
    for name in ("fairlead-runs", "fairlead-serving", "fairlead-system"):
        assert selected.items() <= one("overlays/production", "Namespace", name)["metadata"]["labels"].items()


@pytest.mark.parametrize("chart", ["platform", "model"])
def test_the_production_values_fit_their_chart(chart: str) -> None:
    if not helms():
        pytest.skip("no helm: set HELM or put it on the PATH")
    values = yaml.safe_load(
        (MANIFESTS / f"overlays/production/values-{chart}.yaml").read_text(encoding="utf-8")
    )
    assert render(min(helms().items())[1], f"fairlead-{chart}", values).objects


# --------------------------------------------------------------------------------------------- KFP


@pytest.fixture
def platform() -> Any:
    if not helms():
        pytest.skip("no helm: set HELM or put it on the PATH")
    return render(
        min(helms().items())[1],
        "fairlead-platform",
        {"store": {"credentials": {"existingSecret": "fairlead-store"}}},
        release="fairlead",
        namespace="fairlead-system",
    )


@pytest.mark.parametrize("folder", ["base/kfp", "base/kfp-profile"])
def test_tasks_under_kfp_are_told_what_the_platform_chart_tells(folder: str, platform: Any) -> None:
    own = one(folder, "ConfigMap", manifests.ENVIRONMENT_MAP)["data"]
    charts = next(
        each for each in platform.all("ConfigMap") if each["metadata"]["name"] == manifests.ENVIRONMENT_MAP
    )["data"]
    assert own == charts


@pytest.mark.parametrize("folder", ["base/kfp", "base/kfp-profile"])
def test_artifacts_go_to_the_platforms_store_with_the_keys_of_its_secret(folder: str) -> None:
    data = one(folder, "ConfigMap", "kfp-launcher")["data"]
    default = yaml.safe_load(data["providers"])["s3"]["default"]
    told = one(folder, "ConfigMap", manifests.ENVIRONMENT_MAP)["data"]
    assert data["defaultPipelineRoot"].startswith("s3://")
    assert f"http://{default['endpoint']}" == told["AWS_ENDPOINT_URL"]
    assert (default["region"], default["disableSSL"]) == (told["AWS_REGION"], True)
    assert default["credentials"]["secretRef"] == {
        "secretName": manifests.STORE_SECRET,
        "accessKeyKey": "AWS_ACCESS_KEY_ID",
        "secretKeyKey": "AWS_SECRET_ACCESS_KEY",
    }


@pytest.mark.parametrize(
    ("folder", "account"), [("base/kfp", "pipeline-runner"), ("base/kfp-profile", "default-editor")]
)
def test_the_identity_of_runs_may_do_what_a_run_needs_and_no_more(folder: str, account: str) -> None:
    rules = one(folder, "Role", "fairlead-pipeline")["rules"]
    found = {(rule["resources"][0], tuple(rule.get("resourceNames", ()))): rule["verbs"] for rule in rules}
    assert found == {
        ("workflowtaskresults", ()): ["create", "patch"],
        ("pods", ()): ["get"],
        ("configmaps", ("kfp-launcher",)): ["get"],
        ("secrets", (manifests.STORE_SECRET, "mlpipeline-minio-artifact")): ["get"],
        ("persistentvolumeclaims", ()): ["create", "get", "delete"],
    }
    subjects = one(folder, "RoleBinding", "fairlead-pipeline")["subjects"]
    assert [(subject["kind"], subject["name"]) for subject in subjects] == [("ServiceAccount", account)]


def test_kfp_is_told_of_the_platforms_mlflow_and_gives_tasks_their_run(platform: Any) -> None:
    plugin = json.loads((MANIFESTS / "base/kfp-install/config.json").read_text(encoding="utf-8"))["plugins"][
        "mlflow"
    ]
    service = platform.one("Service", "fairlead-tracking")["metadata"]
    assert plugin["endpoint"] == f"http://{service['name']}.{service['namespace']}.svc.cluster.local:5000"
    assert plugin["settings"] == {"authType": "none", "workspacesEnabled": False, "injectUserEnvVars": True}


UPSTREAM = """
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap, namespace: kubeflow}
data:
  executor: "imagePullPolicy: IfNotPresent"
  workflowDefaults: "spec: {templateDefaults: {retryStrategy: {limit: '2', retryPolicy: OnError}}}"
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ml-pipeline, namespace: kubeflow}
spec:
  selector: {matchLabels: {app: ml-pipeline}}
  template:
    metadata: {labels: {app: ml-pipeline}}
    spec:
      containers: [{name: ml-pipeline-api-server, image: kfp}]
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, Object]:
    """KFP's objects, as far as they matter here, with the component applied."""
    shutil.copytree(MANIFESTS / "base/kfp-install", tmp_path / "component")
    (tmp_path / "kfp.yaml").write_text(UPSTREAM)
    kustomization = {"resources": ["kfp.yaml"], "components": ["component"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    text = subprocess.run(
        [_kubectl(), "kustomize", str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout
    return {found["metadata"]["name"]: found for found in yaml.safe_load_all(text)}


def test_argo_retries_as_tasks_ask_and_keeps_the_rest_of_its_settings(installed: dict[str, Object]) -> None:
    data = installed["workflow-controller-configmap"]["data"]
    assert data["executor"] == "imagePullPolicy: IfNotPresent"
    assert yaml.safe_load(data["workflowDefaults"])["spec"].keys() == {"ttlStrategy"}


def test_the_api_server_reads_the_configuration_and_restarts_with_it(installed: dict[str, Object]) -> None:
    pod = installed["ml-pipeline"]["spec"]["template"]["spec"]
    [volume] = pod["volumes"]
    [mount] = pod["containers"][0]["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"]) == ("/config/config.json", "config.json")
    assert volume["configMap"]["name"] in installed  # its name carries a digest of the content
    assert volume["configMap"]["name"] != "fairlead-kfp-config"


# -------------------------------------------------------------------------------------------- secrets


def test_no_manifest_has_a_secret_with_a_value() -> None:
    for path in MANIFESTS.rglob("*.yaml"):
        for found in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if isinstance(found, dict) and found.get("kind") == "Secret":
                values = {**found.get("data", {}), **found.get("stringData", {})}
                assert set(values.values()) == {""}, path


def test_kfps_configuration_has_no_credentials() -> None:
    text = (MANIFESTS / "base/kfp-install/config.json").read_text(encoding="utf-8")
    assert not re.search("AccessKey|Password", text)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_no_kustomization_makes_a_secret(folder: str) -> None:
    assert [found for found in objects(folder) if found["kind"] == "Secret"] == []


# ------------------------------------------------------------------------------------ gateway, GitOps


def test_the_gateway_takes_routes_from_the_namespaces_of_base() -> None:
    for folder in ("third-party/gateway", "third-party/gateway-tls"):
        for listener in one(folder, "Gateway", "fairlead")["spec"]["listeners"]:
            wanted = listener["allowedRoutes"]["namespaces"]["selector"]["matchLabels"]
            assert (
                wanted.items() <= one("base", "Namespace", "fairlead-serving")["metadata"]["labels"].items()
            )


SAMPLES = sorted((MANIFESTS / "gitops").rglob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_gitops_sample_installs_a_chart_that_is_here_with_values_it_takes(path: Path) -> None:
    if not helms():
        pytest.skip("no helm: set HELM or put it on the PATH")
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    chart, values = (
        (spec["source"]["path"], spec["source"]["helm"]["valuesObject"])
        if "source" in spec
        else (spec["chart"]["spec"]["chart"], spec["values"])
    )
    assert render(min(helms().items())[1], chart.removeprefix("helm/"), values).objects


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_gitops_sample_needs_no_differences_ignored(path: Path) -> None:
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    assert "ignoreDifferences" not in spec
    assert "ignore" not in spec.get("driftDetection", {})
