"""What every task of the compiled flow asks of a cluster, and what a project's section ``run`` adds."""

import re

import pytest
import yaml

from fairlead import telemetry
from fairlead.adapters import settings as names
from fairlead.flows.compiled import compile_flow
from fairlead.flows.settings import ENVIRONMENT, ONE_THREAD
from fairlead.spec.run import TASKS, Run

DIGEST = "registry.example/fairlead/pipeline@sha256:" + "ab" * 32
FULL = Run.model_validate(
    {
        "image": DIGEST,
        "pull_policy": "Always",
        "pull_secrets": ["registry"],
        "timeout": "90m",
        "retries": 2,
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi"},
            "limits": {"cpu": "2", "memory": "8Gi"},
            "accelerator": {"kind": "nvidia.com/gpu", "count": 1},
        },
        "env": {"COLOUR": "blue"},
        "secrets": [
            {"name": "db", "env": {"password": "PGPASSWORD"}, "mount": "/secrets/db", "optional": True}
        ],
        "config_maps": [{"name": "ca", "mount": "/etc/ca"}, {"name": "flags", "env": {"a": "A"}}],
        "node_selector": {"pool": "train"},
        "node_affinity": [
            {"match": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
            {"match": [{"key": "disk", "operator": "Exists"}], "weight": 10},
        ],
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
        "labels": {"team": "risk"},
        "annotations": {"note": "x"},
        "workspace": {"size": "20Gi", "storage_class": "fast"},
        "tasks": {"bundle": {"timeout": "5m", "resources": {"limits": {"memory": "1Gi"}}, "retries": 0}},
    }
)


def parts(text: str) -> tuple[dict, dict]:
    graph, platform = yaml.safe_load_all(text)
    return graph, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def default() -> tuple[dict, dict]:
    return parts(compile_flow("training"))


@pytest.fixture(scope="module")
def full() -> tuple[dict, dict]:
    return parts(compile_flow("training", run=FULL))


@pytest.fixture(params=TASKS)
def pod(request, default) -> dict:
    return default[1][f"exec-{request.param}"]


@pytest.fixture(params=TASKS)
def container(request, default) -> dict:
    return default[0]["deploymentSpec"]["executors"][f"exec-{request.param}"]["container"]


def env_of(container: dict) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def task_of(graph: dict, name: str) -> dict:
    dag = graph["components"]["comp-for-loop-1"]["dag"] if name == "search" else graph["root"]["dag"]
    return dag["tasks"][name]


# ---- every task, by the defaults


def test_runs_as_a_numeric_user_that_is_not_root(pod):
    assert pod["securityContext"] == {"runAsUser": "65532", "runAsGroup": "65532", "runAsNonRoot": True}


def test_home_and_caches_are_where_any_user_may_write(container):
    found = env_of(container)
    assert found["HOME"] == "/tmp"
    assert all(found[name].startswith("/tmp/") for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME"))


def test_usage_statistics_of_libraries_are_off_and_arithmetic_has_one_thread(container):
    found = env_of(container)
    assert found.items() >= {**telemetry.OFF, **ONE_THREAD}.items()


def test_the_image_is_pulled_only_if_it_is_absent(pod):
    assert pod["imagePullPolicy"] == "IfNotPresent"


def test_a_time_out_ends_a_task_whose_image_is_missing(pod):
    assert pod["activeDeadlineSeconds"] == "3600"


def test_a_task_has_requests_and_a_limit_of_memory(container):
    found = container["resources"]
    assert (found["resourceCpuRequest"], found["resourceMemoryRequest"], found["resourceMemoryLimit"]) == (
        "250m",
        "512Mi",
        "4Gi",
    )


def test_credentials_of_the_store_come_from_a_secret_that_may_be_absent(pod):
    (secret,) = pod["secretAsEnv"]
    assert (secret["secretName"], secret["optional"]) == ("fairlead-store", True)
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= {pair["envVar"] for pair in secret["keyToEnv"]}


def test_where_things_are_comes_from_a_config_map_that_may_be_absent(pod):
    (config_map,) = pod["configMapAsEnv"]
    assert (config_map["configMapName"], config_map["optional"]) == ("fairlead-environment", True)
    wanted = {names.TRACKING_URI, names.STORE, "AWS_ENDPOINT_URL", "AWS_REGION"}
    assert wanted <= {pair["envVar"] for pair in config_map["keyToEnv"]}


def test_no_service_s_own_variables_are_needed_and_none_is_named_mlflow():
    assert not [name for name in ENVIRONMENT if name.startswith("MLFLOW_PORT")]


def test_the_run_that_the_backend_s_mlflow_plugin_opened_is_left_to_the_backend(container, pod):
    set_here = env_of(container).keys() | {
        pair["envVar"] for use in pod["configMapAsEnv"] for pair in use["keyToEnv"]
    }
    assert not {names.RUN_ID, names.PARENT_RUN} & set_here


@pytest.mark.parametrize(
    ("task", "cached"), [("data", False), ("search", True), ("model", False), ("bundle", False)]
)
def test_a_task_is_skipped_for_the_same_inputs_unless_it_reads_rows_champion_or_registry(
    default, task, cached
):
    assert task_of(default[0], task)["cachingOptions"].get("enableCache", False) is cached


def test_cache_keys_are_not_set_because_the_backend_does_not_read_them():
    assert "cacheKey" not in compile_flow("training", run=FULL)


def test_no_placeholder_is_used_but_the_executor_input():
    assert set(re.findall(r"\{\{[^}]*\}\}", compile_flow("training", run=FULL))) == {"{{$}}"}


def test_names_of_component_inputs_have_no_dot_and_logged_parameters_always_have_one(default):
    inputs = {
        name
        for component in default[0]["components"].values()
        for kind in ("parameters", "artifacts")
        for name in component.get("inputDefinitions", {}).get(kind, {})
    }
    assert inputs
    assert not [name for name in inputs if "." in name]


def test_a_retry_policy_is_only_there_when_asked_for(default):
    assert not [name for name in TASKS if "retryPolicy" in task_of(default[0], name)]


def test_no_volume_is_claimed_and_no_loop_is_limited_by_default(pod):
    assert not {"pvcMount", "genericEphemeralVolume"} & pod.keys()


def test_no_field_is_used_that_kfp_kubernetes_2_17_lacks(default, full):
    known = {
        "activeDeadlineSeconds", "configMapAsEnv", "configMapAsVolume", "genericEphemeralVolume", "imagePullPolicy",
        "imagePullSecret", "nodeAffinity", "nodeSelector", "podMetadata", "secretAsEnv", "secretAsVolume",
        "securityContext", "tolerations",
    }  # fmt: skip
    assert {key for _, pods in (default, full) for pod in pods.values() for key in pod} <= known


# ---- the section run


def test_the_image_by_digest_is_every_task_s_so_that_a_rebuilt_image_is_another_cache_key(full):
    images = {executor["container"]["image"] for executor in full[0]["deploymentSpec"]["executors"].values()}
    assert images == {DIGEST}


def test_an_image_given_at_compile_time_wins():
    graph, _ = parts(compile_flow("training", "other/pipeline:1", FULL))
    assert {ex["container"]["image"] for ex in graph["deploymentSpec"]["executors"].values()} == {
        "other/pipeline:1"
    }


def test_resources_and_an_accelerator_reach_the_container(full):
    found = full[0]["deploymentSpec"]["executors"]["exec-model"]["container"]["resources"]
    assert found["resourceCpuLimit"] == "2"
    assert found["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert found["accelerator"]["resourceCount"] == "1"


def test_one_task_s_own_settings_replace_those_of_all(full):
    assert full[1]["exec-bundle"]["activeDeadlineSeconds"] == "300"
    assert full[1]["exec-model"]["activeDeadlineSeconds"] == "5400"
    own = full[0]["deploymentSpec"]["executors"]["exec-bundle"]["container"]["resources"]
    assert own["resourceMemoryLimit"] == "1Gi"
    assert "accelerator" not in own


def test_retries_become_a_retry_policy_with_a_growing_pause(full):
    policy = task_of(full[0], "model")["retryPolicy"]
    assert (policy["maxRetryCount"], policy["backoffDuration"]) == (2, "10s")
    assert "retryPolicy" not in task_of(full[0], "bundle")


def test_secrets_and_config_maps_become_variables_and_files(full):
    pod = full[1]["exec-data"]
    assert [use["secretName"] for use in pod["secretAsEnv"]] == ["fairlead-store", "db"]
    assert pod["secretAsVolume"][0]["mountPath"] == "/secrets/db"
    assert [use["configMapName"] for use in pod["configMapAsEnv"]] == ["fairlead-environment", "flags"]
    assert pod["configMapAsVolume"][0]["mountPath"] == "/etc/ca"


def test_placement_labels_and_pulling_reach_the_pod(full):
    pod = full[1]["exec-search"]
    assert pod["nodeSelector"]["labels"] == {"pool": "train"}
    assert [term.get("weight") for term in pod["nodeAffinity"]] == [None, 10]
    assert pod["tolerations"][0]["tolerationSeconds"] == "60"
    assert pod["podMetadata"] == {"labels": {"team": "risk"}, "annotations": {"note": "x"}}
    assert pod["imagePullSecret"][0]["secretName"] == "registry"
    assert pod["imagePullPolicy"] == "Always"


def test_a_workspace_is_a_volume_of_the_task_s_own_where_temporary_files_go(full):
    (volume,) = full[1]["exec-data"]["genericEphemeralVolume"]
    assert (volume["size"], volume["storageClassName"], volume["mountPath"]) == ("20Gi", "fast", "/workspace")
    assert env_of(full[0]["deploymentSpec"]["executors"]["exec-data"]["container"])["TMPDIR"] == "/workspace"


def test_a_workspace_by_claim_is_shared():
    _, pods = parts(compile_flow("training", run=Run.model_validate({"workspace": {"claim": "shared"}})))
    assert all(pod["pvcMount"][0]["constant"] == "shared" for pod in pods.values())
