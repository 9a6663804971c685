"""Objects of a run as pods, made from the compiled YAML and its platform settings; and what is refused."""

import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from tiny_flow import compiled

from fairlead.errors import ProjectError
from fairlead.flows.compiled import compile_flow
from fairlead.runners.pods.compiled import executors_of
from fairlead.runners.pods.manifests import RunRequest, config_map_of, job_of, pod_of, run_name
from fairlead.runners.pods.submit import check_claims
from fairlead.runners.pods.task import Assignment
from fairlead.spec.run import Run

REQUEST = RunRequest("tiny-20260101-000000-aaaaaa", "tiny", "runs", {"project": "p"})
FULL = Run.model_validate(
    {
        "pull_secrets": ["registry"], "timeout": "90m",
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "8Gi"},
                      "accelerator": {"kind": "nvidia.com/gpu", "count": 1}},
        "env": {"COLOUR": "blue"},
        "secrets": [{"name": "db", "env": {"password": "PGPASSWORD"}, "mount": "/secrets/db", "optional": True}],
        "config_maps": [{"name": "ca", "mount": "/etc/ca"}],
        "node_selector": {"pool": "train"},
        "node_affinity": [{"match": [{"key": "zone", "operator": "In", "values": ["a"]}]},
                          {"match": [{"key": "disk", "operator": "Exists"}], "weight": 10}],
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute", "seconds": 60}],
        "labels": {"team": "risk"}, "annotations": {"note": "x"},
        "workspace": {"size": "20Gi", "storage_class": "fast"},
    }
)  # fmt: skip


def pod_with(run: Run | None = None) -> dict:
    executor = executors_of(compiled(run))["data"]
    return pod_of(
        REQUEST, executor, "data", Assignment((), key="0123456789"), {"FAIRLEAD_PARENT_RUN": "r"}, "uid-1"
    )


@pytest.fixture(scope="module")
def pod() -> dict:
    return pod_with()


@pytest.fixture(scope="module")
def full() -> dict:
    return pod_with(FULL)


@pytest.fixture(params=["task", "orchestrator"])
def spec(request, pod) -> dict:
    job = job_of(REQUEST, "x/tools:1", {})
    return pod["spec"] if request.param == "task" else job["spec"]["template"]["spec"]


def test_pods_fit_the_restricted_security_profile(spec):
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_root_file_system_is_read_only_and_tmp_is_not(spec):
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert {"name": "tmp", "emptyDir": {}} in spec["volumes"]


def test_services_of_the_namespace_add_no_variables(spec):
    assert spec["enableServiceLinks"] is False


def test_a_task_has_no_token_and_an_identity_without_rights(pod):
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["serviceAccountName"] == "fairlead-task"


def test_a_task_goes_with_its_run_and_is_found_by_labels(pod):
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", REQUEST.name, "uid-1")
    assert pod["metadata"]["labels"]["fairlead.dev/run"] == REQUEST.name
    assert pod["metadata"]["labels"]["fairlead.dev/task"] == "data"


def test_names_stay_within_63_characters_for_the_longest_project():
    name = run_name("p" * 40, "20260101-000000", "abcdef01")
    request = RunRequest(name, "p" * 40, "runs")
    executor = executors_of(compiled())["search"]
    pod = pod_of(request, executor, "search-64", Assignment((), key="0123456789", attempt=10), {}, "u")
    assert len(pod["metadata"]["name"]) <= 63
    assert all(len(value) <= 63 for value in pod["metadata"]["labels"].values())


def test_the_same_attempt_at_the_same_work_has_the_same_name():
    assert pod_with()["metadata"]["name"] == pod_with()["metadata"]["name"]


def variables(pod: dict) -> dict:
    return {entry["name"]: entry for entry in pod["spec"]["containers"][0]["env"]}


def test_variables_of_the_yaml_of_objects_and_of_the_run_are_all_there(full):
    found = variables(full)
    assert found["COLOUR"]["value"] == "blue"
    assert found["HOME"]["value"] == "/tmp"
    assert found["FAIRLEAD_PARENT_RUN"]["value"] == "r"
    secret = found["PGPASSWORD"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "db", "key": "password", "optional": True}
    assert found["FAIRLEAD_STORE"]["valueFrom"]["configMapKeyRef"]["name"] == "fairlead-environment"


def test_a_time_out_is_the_pod_s_deadline(full):
    assert full["spec"]["activeDeadlineSeconds"] == 5400


def test_resources_are_the_quantities_that_were_written(full):
    assert full["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "1"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"},
    }  # fmt: skip


def test_placement_is_obeyed(full):
    spec = full["spec"]
    assert spec["nodeSelector"] == {"pool": "train"}
    assert spec["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    ]
    affinity = spec["affinity"]["nodeAffinity"]
    assert affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    ]
    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"][0]["weight"] == 10


def test_files_of_secrets_and_config_maps_and_a_volume_are_mounted(full):
    sources = {mount["mountPath"]: mount["name"] for mount in full["spec"]["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in full["spec"]["volumes"]}
    assert volumes[sources["/secrets/db"]]["secret"] == {"secretName": "db", "optional": True}
    assert volumes[sources["/etc/ca"]]["configMap"]["name"] == "ca"
    claim = volumes[sources["/workspace"]]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "fast",
    }


def test_images_are_pulled_as_asked(full):
    assert full["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert full["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_labels_and_annotations_of_the_project_do_not_hide_the_run_s(full):
    assert full["metadata"]["labels"]["team"] == "risk"
    assert full["metadata"]["annotations"] == {"note": "x"}
    assert full["metadata"]["labels"]["fairlead.dev/project"] == "tiny"


def test_a_failed_run_is_not_started_again_and_a_stopped_orchestrator_is():
    spec = job_of(REQUEST, "x/tools:1", {})["spec"]
    (ignored, ended) = spec["podFailurePolicy"]["rules"]
    assert ignored["action"] == "Ignore"
    assert ended["action"] == "FailJob"
    assert spec["backoffLimit"] > 0
    assert spec["ttlSecondsAfterFinished"] > 0


def test_the_config_map_holds_the_flow_and_the_request_and_goes_with_the_job():
    found = config_map_of(REQUEST, "flow", "uid-1")
    assert RunRequest.from_json(found["data"]["request.json"]) == REQUEST
    assert found["data"]["flow.yaml"] == "flow"
    assert found["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


def test_every_task_of_the_training_flow_can_be_obeyed_with_every_setting():
    assert sorted(executors_of(compile_flow("training", run=FULL))) == ["bundle", "data", "model", "search"]


# ---- what is refused, by name


def changed(
    platform: dict | None = None,
    container: dict | None = None,
    spec: dict | None = None,
    whole: dict | None = None,
) -> str:
    graph, settings = yaml.safe_load_all(compiled())
    executor = graph["deploymentSpec"]["executors"]["exec-data"]
    executor["container"].update(container or {})
    if spec is not None:
        graph["deploymentSpec"]["executors"]["exec-data"] = spec
    settings["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-data"].update(platform or {})
    settings["platforms"]["kubernetes"].update(whole or {})
    return yaml.safe_dump_all([graph, settings])


BY_RUN = {"componentInputParameter": "name"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param(changed({"podAffinity": [{}]}), "exec-data: podAffinity", id="affinity to pods"),
        pytest.param(changed({"enabledSharedMemory": {}}), "exec-data: enabledSharedMemory", id="shared memory"),
        pytest.param(changed({"newInKfp": 1}), "exec-data: newInKfp", id="a setting of a later kfp"),
        pytest.param(changed({"secretAsEnv": [{"secretNameParameter": BY_RUN}]}), "secretAsEnv by a value", id="secret"),
        pytest.param(changed({"pvcMount": [{"taskOutputParameter": {}}]}), "pvcMount by a value", id="claim made by a task"),
        pytest.param(changed({"tolerations": [{"tolerationJson": {}}]}), "tolerations by a value", id="tolerations by parameter"),
        pytest.param(changed({"nodeAffinity": [{"nodeAffinityJson": {}}]}), "nodeAffinity by a value", id="affinity"),
        pytest.param(changed({"nodeSelector": {"nodeSelectorJson": {}}}), "nodeSelector by a value", id="selector by parameter"),
        pytest.param(changed({"securityContext": {"runAsUser": "0"}}), "securityContext: root", id="root by number"),
        pytest.param(changed({"securityContext": {"runAsNonRoot": False}}), "securityContext: root", id="root allowed"),
        pytest.param(changed(container={"lifecycle": {}}), "container.lifecycle", id="life cycle"),
        pytest.param(changed(container={"command": ["echo"], "args": []}), "not a lightweight", id="a container component"),
        pytest.param(changed(spec={"importer": {}}), "it is not a container (importer)", id="an importer"),
        pytest.param(changed(whole={"pipelineConfig": {}}), "pipelineConfig: a pipeline-wide setting", id="workspace of kfp"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused_by_name(text, named):
    with pytest.raises(ProjectError, match="cannot obey") as caught:
        executors_of(text)
    assert named in str(caught.value)


def claim(*modes: str) -> dict:
    return {"spec": {"accessModes": list(modes)}}


def sharing(**run) -> list:
    return list(
        executors_of(compiled(Run.model_validate({"workspace": {"claim": "shared"}, **run}))).values()
    )


def test_a_claim_that_many_nodes_may_write_is_shared():
    check_claims(sharing(), lambda _name: claim("ReadWriteMany"))


def test_a_claim_of_one_node_is_refused_while_tasks_may_run_on_several():
    with pytest.raises(ProjectError, match="not ReadWriteMany"):
        check_claims(sharing(), lambda _name: claim("ReadWriteOnce"))


def test_a_claim_of_one_node_is_shared_by_tasks_pinned_to_it():
    check_claims(
        sharing(node_selector={"kubernetes.io/hostname": "n1"}), lambda _name: claim("ReadWriteOnce")
    )


def test_a_claim_that_does_not_exist_is_refused():
    with pytest.raises(ProjectError, match="there is no such claim"):
        check_claims(sharing(), lambda _name: None)
