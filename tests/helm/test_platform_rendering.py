"""What the platform chart renders: components, rights, network rules, and what no pod may lack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.rendering import CHARTS, Object, Rendered, _template, render, template

from fairlead.adapters.cluster import _PATHS as DRIVER_KINDS
from fairlead.runners.pods import manifests

CHART = "fairlead-platform"
CI = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((CHARTS / CHART / "ci").glob("*.yaml"))
}
START, ONE_CLUSTER, PRODUCTION = CI["start"], CI["one-cluster"], CI["production"]
UPGRADE = ("--is-upgrade",)


@pytest.fixture
def platform(helm: str) -> Any:
    """Renders the chart as the release `fairlead` in `fairlead-system`."""

    def rendered(values: Object, more: tuple[str, ...] = ()) -> Rendered:
        return render(helm, CHART, values, release="fairlead", namespace="fairlead-system", more=more)

    return rendered


def container(one: Object) -> Object:
    """The first container of a Deployment, StatefulSet or Job."""
    found: Object = one["spec"]["template"]["spec"]["containers"][0]
    return found


def variables(of: Object) -> dict[str, Any]:
    """A container's environment by name: a value, or where it comes from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in of["env"]}


def rights(role: Object) -> dict[str, set[str]]:
    """Verbs by resource."""
    found: dict[str, set[str]] = {}
    for rule in role["rules"]:
        for resource in rule["resources"]:
            found.setdefault(resource, set()).update(rule["verbs"])
    return found


# ----------------------------------------------------------------------------------------- every pod


@pytest.mark.parametrize("values", CI.values(), ids=CI)
def test_every_pod_is_restricted_and_cannot_write_its_root(values: Object, platform: Any) -> None:
    for name, pod in platform(values, UPGRADE).pods():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        for one in (*pod["containers"], *pod.get("initContainers", ())):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert one["resources"]["requests"], name
            assert {"name": "tmp", "mountPath": "/tmp"} in one["volumeMounts"], name
            assert variables(one)["MLFLOW_DISABLE_TELEMETRY"] == "true", name


@pytest.mark.parametrize("values", CI.values(), ids=CI)
def test_only_driver_and_runner_get_a_token(values: Object, platform: Any) -> None:
    mounted = {name for name, pod in platform(values, UPGRADE).pods() if pod["automountServiceAccountToken"]}
    assert all(
        name.endswith("-driver") or (name.startswith("CronJob/") and "backup" not in name) for name in mounted
    )


@pytest.mark.parametrize("values", CI.values(), ids=CI)
def test_nothing_is_cluster_wide_but_namespaces(values: Object, platform: Any) -> None:
    wide = [one["kind"] for one in platform(values, UPGRADE).objects if "namespace" not in one["metadata"]]
    assert set(wide) <= {"Namespace", "ConfigMap"}  # the ConfigMap is one of extraObjects


@pytest.mark.parametrize("values", CI.values(), ids=CI)
def test_rendering_twice_gives_the_same_text(values: Object, helm: str) -> None:
    # Nothing random: a GitOps tool that renders every minute changes nothing.
    assert _fresh(helm, values) == _fresh(helm, values)


def _fresh(helm: str, values: Object) -> str:
    """The rendered text, not from the cache."""
    text = _template.__wrapped__(helm, str(CHARTS / CHART), json.dumps(values), "fraud", "serving", ())
    assert isinstance(text, str)
    return text


def test_no_pod_changes_with_the_version_of_the_chart(platform: Any) -> None:
    for name, pod in platform(START).pods():
        assert "helm.sh/chart" not in json.dumps(pod), name


def test_production_settings_reach_every_pod(platform: Any) -> None:
    for name, pod in platform(PRODUCTION, UPGRADE).pods():
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name
        assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}, name
        assert pod["priorityClassName"] == "system-cluster-critical", name
        assert pod["runtimeClassName"] == "gvisor", name
        for one in (*pod["containers"], *pod.get("initContainers", ())):
            assert one["image"].startswith("registry.example.com/team/"), name
            assert "@sha256:" in one["image"], name
            assert variables(one)["SSL_CERT_FILE"] == "/etc/fairlead/trust/ca.pem", name
            assert variables(one)["HTTPS_PROXY"] == "http://proxy.example.com:3128", name
            assert variables(one)["LOG_LEVEL"] == "info", name


# -------------------------------------------------------------------------------------------- driver


def test_the_driver_is_told_its_namespaces_and_its_lease(platform: Any) -> None:
    driver = container(platform(ONE_CLUSTER).one("Deployment", "fairlead-driver"))
    assert driver["command"] == ["fairlead", "driver"]
    assert driver["args"] == [
        "--namespaces=team-a,team-b",
        "--lease-namespace=fairlead-system",
        "--lease-name=fairlead-driver",
        "--health-port=8080",
    ]


def test_the_command_line_knows_the_drivers_arguments(platform: Any) -> None:
    import inspect

    from fairlead.cli import driver

    args = [
        arg.split("=")[0].lstrip("-")
        for arg in container(platform(START).one("Deployment", "fairlead-driver"))["args"]
    ]
    assert set(args) <= {name.replace("_", "-") for name in inspect.signature(driver.command).parameters}


def test_the_driver_may_do_what_it_does_in_each_namespace_of_models_and_no_more(platform: Any) -> None:
    for namespace in ("team-a", "team-b"):
        [role] = [
            one
            for one in platform(ONE_CLUSTER).all("Role")
            if one["metadata"]["namespace"] == namespace and one["metadata"]["name"] == "fairlead-driver"
        ]
        assert rights(role) == {
            "podtemplates": {"list"},
            "configmaps": {"list", "create", "update", "patch"},
            "deployments": {"list", "create", "patch"},
            "deployments/scale": {"patch"},
            "pods": {"list"},
            "services": {"list", "patch"},
            "httproutes": {"list", "patch"},
            "horizontalpodautoscalers": {"list", "patch"},
            "events": {"create"},
        }


def test_every_kind_the_drivers_client_knows_is_in_one_of_its_roles(platform: Any) -> None:
    roles = [
        one for one in platform(START).all("Role") if one["metadata"]["name"].startswith("fairlead-driver")
    ]
    allowed = {resource for role in roles for resource in rights(role)}
    assert {plural for _, plural in DRIVER_KINDS.values()} <= allowed


def test_the_lease_is_the_only_right_in_the_drivers_own_namespace(platform: Any) -> None:
    own = [one for one in platform(START).all("Role") if one["metadata"]["namespace"] == "fairlead-system"]
    assert [(one["metadata"]["name"], one["rules"]) for one in own] == [
        (
            "fairlead-driver-lease",
            [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["fairlead-driver"],
                 "verbs": ["get", "update"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
            ],
        )
    ]  # fmt: skip


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_second_driver_brings_a_disruption_budget(replicas: int, platform: Any) -> None:
    budgets = platform({**START, "driver": {"replicas": replicas}}).all("PodDisruptionBudget")
    assert len(budgets) == replicas - 1


# ------------------------------------------------------------------------------------------ tracking


def test_mlflow_keeps_runs_on_its_volume_and_artifacts_in_the_store(platform: Any) -> None:
    server = container(platform(START).one("Deployment", "fairlead-tracking"))
    assert variables(server)["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////mlflow/mlflow.db"
    assert "--artifacts-destination=s3://fairlead/mlflow" in server["args"]
    assert variables(server)["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_two_servers_never_have_the_sqlite_file_at_once(platform: Any) -> None:
    assert platform(START).one("Deployment", "fairlead-tracking")["spec"]["strategy"] == {"type": "Recreate"}


def test_with_postgresql_and_a_store_mlflow_has_no_volume_and_is_replaced_without_a_gap(
    platform: Any,
) -> None:
    rendered = platform(PRODUCTION)
    deployment = rendered.one("Deployment", "mlops-tracking")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0}
    assert rendered.all("PersistentVolumeClaim") == []
    assert variables(container(deployment))["MLFLOW_BACKEND_STORE_URI"] == {
        "secretKeyRef": {"name": "mlflow-database", "key": "url"}
    }


def _flag(server: Object, name: str) -> list[str]:
    [value] = [arg.split("=", 1)[1] for arg in server["args"] if arg.startswith(f"--{name}=")]
    found: list[str] = value.split(",")
    return found


def test_mlflow_answers_to_every_name_of_its_service_and_to_its_route(platform: Any) -> None:
    hosts = _flag(container(platform(PRODUCTION).one("Deployment", "mlops-tracking")), "allowed-hosts")
    name = "mlops-tracking"
    for host in (name, f"{name}.fairlead-system", f"{name}.fairlead-system.svc", f"{name}.fairlead-system.svc.cluster.local",
                 "mlflow.example.com", "localhost"):  # fmt: skip
        assert {host, f"{host}:*"} <= set(hosts)
    assert hosts[-1] == "mlflow.corp.example.com:8443"
    assert "*" not in hosts


def test_pages_of_the_route_may_change_things_and_no_other_origin(platform: Any) -> None:
    server = container(platform(PRODUCTION).one("Deployment", "mlops-tracking"))
    assert _flag(server, "cors-allowed-origins") == [
        "https://mlflow.example.com", "http://mlflow.example.com", "https://mlflow.corp.example.com:8443"
    ]  # fmt: skip


def test_mlflow_takes_the_options_it_is_started_with(platform: Any) -> None:
    from mlflow.cli import server as command

    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    used = {
        arg.split("=")[0]
        for values in (START, PRODUCTION)
        for one in platform(values).all("Deployment")
        if one["metadata"]["name"].endswith("-tracking")
        for arg in container(one)["args"]
    }
    assert used <= known


def test_no_object_is_called_mlflow(platform: Any) -> None:
    # A Service of that name would put MLFLOW_PORT=tcp://… into every pod of its namespace.
    assert "mlflow" not in {one["metadata"]["name"] for one in platform(START).all("Service")}


def test_the_volume_of_mlflow_stays_when_the_release_goes(platform: Any) -> None:
    claim = platform(START).one("PersistentVolumeClaim", "fairlead-tracking")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


# ----------------------------------------------------------------------------- upgrade, backup, restore


def test_an_installation_has_no_hook(platform: Any) -> None:
    hooks = [
        one for one in platform(START).objects if "helm.sh/hook" in one["metadata"].get("annotations", {})
    ]
    assert hooks == []


def test_before_an_upgrade_scripts_come_first_and_the_rehearsal_next(platform: Any) -> None:
    rendered = platform(START, UPGRADE)
    weights = {
        kind: rendered.one(kind, "fairlead-upgrade")["metadata"]["annotations"]
        for kind in ("ConfigMap", "Job")
    }
    assert {kind: (a["helm.sh/hook"], a["helm.sh/hook-weight"]) for kind, a in weights.items()} == {
        "ConfigMap": ("pre-upgrade", "-5"),
        "Job": ("pre-upgrade", "0"),
    }
    volumes = {
        one["name"]: one
        for one in rendered.one("Job", "fairlead-upgrade")["spec"]["template"]["spec"]["volumes"]
    }
    assert volumes["scripts"]["configMap"]["name"] == "fairlead-upgrade"


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_a_job_on_mlflows_volume_runs_beside_the_server(kind: str, platform: Any) -> None:
    # A volume that one node holds: a pod elsewhere would wait for ever.
    rendered = platform(ONE_CLUSTER, UPGRADE)
    server = rendered.one("Deployment", "fairlead-tracking")["spec"]["template"]
    spec = rendered.one(kind, "fairlead-upgrade" if kind == "Job" else "fairlead-backup")["spec"]
    pod = (spec["jobTemplate"]["spec"] if kind == "CronJob" else spec)["template"]
    [term] = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    wanted = term["labelSelector"]["matchLabels"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert wanted.items() <= server["metadata"]["labels"].items()
    # And beside itself, so that it is not held up where no server runs.
    assert wanted.items() <= pod["metadata"]["labels"].items()


def test_every_program_a_pod_starts_is_shipped(platform: Any) -> None:
    rendered = platform(ONE_CLUSTER, UPGRADE)
    shipped = set(rendered.one("ConfigMap", "fairlead-scripts")["data"])
    started = {
        part.removeprefix("/scripts/")
        for _, pod in rendered.pods()
        for one in (*pod["containers"], *pod.get("initContainers", ()))
        for part in one.get("command", ())
        if part.startswith("/scripts/")
    }
    assert started == {"prepare.py", "rehearse.py", "backup.py", "bucket.py"}
    assert started <= shipped
    assert shipped == {path.name for path in Path(CHARTS / CHART / "files").glob("*.py")}


def test_a_restore_reaches_the_program_before_the_server_with_the_keys_of_the_backups(platform: Any) -> None:
    [prepare] = platform(ONE_CLUSTER).one("Deployment", "fairlead-tracking")["spec"]["template"]["spec"][
        "initContainers"
    ]
    told = variables(prepare)
    assert (told["RESTORE_FROM"], told["BACKUPS"], told["ARTIFACTS"]) == (
        "20260131T022300Z#2", "s3://backups/mlflow", "/mlflow/artifacts"
    )  # fmt: skip
    assert told["AWS_ENDPOINT_URL"] == "https://s3.example.com"
    assert told["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "backup-keys", "key": "AWS_ACCESS_KEY_ID"}}


def test_without_a_restore_the_program_before_the_server_has_no_keys(platform: Any) -> None:
    [prepare] = platform(START).one("Deployment", "fairlead-tracking")["spec"]["template"]["spec"][
        "initContainers"
    ]
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RESTORE_FROM"} & set(variables(prepare))


# --------------------------------------------------------------------------------------------- store


def test_the_store_takes_its_keys_from_the_secret_and_listens_where_the_service_points(platform: Any) -> None:
    rendered = platform(START)
    server = container(rendered.one("StatefulSet", "fairlead-store"))
    told = variables(server)
    assert told["ROOT_ACCESS_KEY"] == {"secretKeyRef": {"name": "fairlead-store", "key": "AWS_ACCESS_KEY_ID"}}
    assert told["VGW_PORT"] == ":7070"
    assert rendered.one("Service", "fairlead-store")["spec"]["ports"] == [
        {"name": "http", "port": 7070, "targetPort": "http"}
    ]


def test_nothing_in_the_stores_claim_changes_with_a_version(platform: Any) -> None:
    # volumeClaimTemplates cannot be changed: an upgrade would be refused.
    [claim] = platform(START).one("StatefulSet", "fairlead-store")["spec"]["volumeClaimTemplates"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(claim["metadata"]["labels"])


def test_another_bucket_is_another_job(platform: Any) -> None:
    names = [
        [
            one["metadata"]["name"]
            for one in platform({"store": {**START["store"], "bucket": bucket}}).all("Job")
        ]
        for bucket in ("one", "two", "one")
    ]
    assert names[0] == names[2] != names[1]


# -------------------------------------------------------------------------------- runs and releases


def test_clients_are_told_where_mlflow_and_the_store_are(platform: Any) -> None:
    maps = [
        one
        for one in platform(START).all("ConfigMap")
        if one["metadata"]["name"] == manifests.ENVIRONMENT_MAP
    ]
    assert {one["metadata"]["namespace"] for one in maps} == {"fairlead-runs", "fairlead-serving"}
    for one in maps:
        assert one["data"] == {
            "MLFLOW_TRACKING_URI": "http://fairlead-tracking.fairlead-system.svc.cluster.local:5000",
            "FAIRLEAD_STORE": "s3://fairlead/store",
            "AWS_ENDPOINT_URL": "http://fairlead-store.fairlead-system.svc.cluster.local:7070",
            "AWS_REGION": "us-east-1",
        }


def test_credentials_are_copied_only_when_asked(platform: Any) -> None:
    assert platform(START).all("Secret") == []
    copied = [one["metadata"] for one in platform(ONE_CLUSTER).all("Secret")]
    assert sorted((one["namespace"], one["name"]) for one in copied) == [
        ("fairlead-system", "fairlead-credentials"),
        *(
            (namespace, manifests.STORE_SECRET)
            for namespace in ("team-a", "team-a-runs", "team-b", "team-b-runs")
        ),
    ]


def test_the_accounts_of_runs_are_those_the_runner_names(platform: Any) -> None:
    accounts = {one["metadata"]["name"]: one for one in platform(START).all("ServiceAccount")
                if one["metadata"]["namespace"] == "fairlead-runs"}  # fmt: skip
    assert set(accounts) == {manifests.RUNNER_ACCOUNT, manifests.TASK_ACCOUNT}
    assert accounts[manifests.TASK_ACCOUNT]["automountServiceAccountToken"] is False


def test_the_runner_may_start_and_follow_pods_and_no_more(platform: Any) -> None:
    assert rights(platform(START).one("Role", "fairlead-runner")) == {
        "pods": {"create", "get", "list", "watch", "delete"},
        "pods/log": {"get"},
        "configmaps": {"get", "create", "delete"},
        "jobs": {"create", "get", "list", "delete"},
        "persistentvolumeclaims": {"get"},
    }


def test_tasks_have_no_rights(platform: Any) -> None:
    subjects = [subject["name"] for one in platform(START).all("RoleBinding") for subject in one["subjects"]]
    assert manifests.TASK_ACCOUNT not in subjects


def test_a_schedule_is_a_cron_job_in_its_namespace_that_never_overlaps(platform: Any) -> None:
    weekly = platform(ONE_CLUSTER).one("CronJob", "fairlead-fraud-weekly")
    spec = weekly["spec"]
    assert (weekly["metadata"]["namespace"], spec["schedule"], spec["timeZone"]) == (
        "team-b-runs",
        "0 3 * * 1",
        "Europe/Prague",
    )
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Forbid", True)
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["serviceAccountName"] == manifests.RUNNER_ACCOUNT


def test_a_schedule_starts_the_command_line_with_options_it_has(platform: Any) -> None:
    import inspect

    from fairlead.cli import run

    [start] = platform(ONE_CLUSTER).one("CronJob", "fairlead-churn")["spec"]["jobTemplate"]["spec"][
        "template"
    ]["spec"]["containers"]
    told = dict(arg.removeprefix("--").split("=", 1) for arg in start["args"])
    assert (start["command"], told["on"], told["namespace"]) == (["fairlead", "run"], "pods", "team-a-runs")
    assert {name.replace("-", "_") for name in told} <= set(inspect.signature(run.command).parameters)


def test_namespaces_are_made_only_when_asked_restricted_and_for_good(platform: Any) -> None:
    assert platform(START).all("Namespace") == []
    made = platform(ONE_CLUSTER).all("Namespace")
    assert sorted(one["metadata"]["name"] for one in made) == [
        "team-a",
        "team-a-runs",
        "team-b",
        "team-b-runs",
    ]
    for one in made:
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


# ------------------------------------------------------------------------------- network, monitoring


@pytest.mark.parametrize("values", [START, ONE_CLUSTER], ids=["start", "one-cluster"])
def test_every_pod_is_under_exactly_one_policy_that_denies_both_ways(values: Object, platform: Any) -> None:
    rendered = platform(values, UPGRADE)
    for one in rendered.objects:
        template_ = one.get("spec", {}).get("jobTemplate", one).get("spec", {}).get("template", {})
        if not template_.get("spec", {}).get("containers"):
            continue
        labels, namespace = template_["metadata"]["labels"], one["metadata"]["namespace"]
        found = [
            policy for policy in rendered.all("NetworkPolicy")
            if policy["metadata"]["namespace"] == namespace and _selects(policy["spec"]["podSelector"], labels)
        ]  # fmt: skip
        assert [policy["spec"]["policyTypes"] for policy in found] == [["Ingress", "Egress"]], one[
            "metadata"
        ]["name"]


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    chosen = selector.get("matchLabels", {}).items() <= labels.items()
    return chosen and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ())
    )


def test_the_pods_of_runs_carry_the_labels_their_policy_selects(platform: Any) -> None:
    policy = platform(START).one("NetworkPolicy", "fairlead-runs")
    request = manifests.RunRequest("fraud-1", "fraud", "fairlead-runs")
    assert _selects(policy["spec"]["podSelector"], manifests.labels_of(request))


def test_the_store_reaches_nobody(platform: Any) -> None:
    assert platform(START).one("NetworkPolicy", "fairlead-store")["spec"]["egress"] == []


def test_mlflow_reaches_an_outer_store_and_its_database_on_their_ports(platform: Any) -> None:
    rules = platform(PRODUCTION).one("NetworkPolicy", "mlops-tracking")["spec"]["egress"]
    reached = {(json.dumps(rule.get("to")), port["port"]) for rule in rules for port in rule.get("ports", ())}
    assert ('[{"ipBlock": {"cidr": "10.20.0.0/16"}}]', 9443) in reached
    assert ('[{"ipBlock": {"cidr": "10.30.0.5/32"}}]', 5432) in reached


@pytest.mark.parametrize(
    ("values", "alerts"),
    [
        (
            ONE_CLUSTER,
            {
                "FairleadDriverStale",
                "FairleadTrackingDown",
                "FairleadStoreDown",
                "FairleadBackupOld",
                "FairleadVolumeFull",
            },
        ),
        (PRODUCTION, {"FairleadDriverStale", "FairleadTrackingDown"}),
    ],
    ids=["one-cluster", "production"],
)
def test_there_are_alerts_for_what_runs_here(values: Object, alerts: set[str], platform: Any) -> None:
    [rules] = platform(values).all("PrometheusRule")
    assert {rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"]} == alerts


def test_every_alert_is_in_the_runbook() -> None:
    text = (CHARTS / CHART / "templates/monitoring/rules.yaml").read_text(encoding="utf-8")
    runbook = (CHARTS / CHART / "README.md").read_text(encoding="utf-8")
    alerts = [line.split()[-1] for line in text.splitlines() if "- alert:" in line]
    assert [alert for alert in alerts if f"### {alert}" not in runbook] == []


def test_the_alert_on_the_driver_reads_a_metric_it_has() -> None:
    from fairlead.release.figures import Figures

    text = (CHARTS / CHART / "templates/monitoring/rules.yaml").read_text(encoding="utf-8")
    [metric] = {word.split("{")[0].split("(")[-1] for word in text.split() if "fairlead_driver_" in word}
    assert f"\n{metric} " in Figures().text()


def test_the_notes_name_what_was_installed_and_the_next_command(helm: str) -> None:
    notes = {
        "extraObjects": [
            'kind: Notes\napiVersion: v0\nmetadata: {name: notes}\ntext: |\n  {{ include "platform.notes" . | nindent 2 }}'
        ]
    }
    text = template(helm, CHART, {**START, **notes}, release="fairlead", namespace="fairlead-system")
    assert isinstance(text, str)
    for wanted in ("s3://fairlead/store", "port-forward service/fairlead-tracking 5000", "fairlead run --on pods",
                   "kubectl --namespace fairlead-runs apply", "MLflow is not backed up"):  # fmt: skip
        assert wanted in text
