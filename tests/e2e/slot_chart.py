"""What the model chart renders in managed mode, written by hand with a stand-in for the model."""

import hashlib
import json
from pathlib import Path

APP = (Path(__file__).parent / "slot_app.py").read_text()
PROBE = json.dumps({"rows": [{"x": 1}, {"x": 2}]})


def template(model, version, image, mode="ok", start=0, cpu="10m"):
    """A pod template; *cpu* is what each pod asks for, *mode* and *start* are those of slot_app.py."""
    container = {
        "name": "model",
        "image": image,
        "command": ["python3", "/app/app.py"],
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "env": [
            {"name": "VERSION", "value": version},
            {"name": "MODE", "value": mode},
            {"name": "START", "value": str(start)},
        ],
        "ports": [{"name": "http", "containerPort": 3000}],
        "resources": {"requests": {"cpu": cpu, "memory": "24Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    }
    spec = {
        "terminationGracePeriodSeconds": 10,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "app", "configMap": {"name": f"{model}-app"}}],
        "containers": [container],
    }
    return {"metadata": {"labels": {"fairlead.dev/model": model}}, "spec": spec}


def pod_template(model, pods, probe=PROBE):
    """The desired revision."""
    revision = hashlib.sha256(json.dumps(pods, sort_keys=True).encode()).hexdigest()[:10]
    said = {"fairlead.dev/revision": revision, "fairlead.dev/bundle": "0" * 64}
    if probe:
        said["fairlead.dev/probe"] = probe
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": _metadata(model, model, annotations=said),
        "template": pods,
    }


def release(
    model, backend, gateway, *, floor=1, window=5, ready=60, drain=2, autoscaled=True, most=4, preview=False
):
    """All that is not the desired revision."""
    policy = {
        "model": model,
        "traffic": {"backend": backend, "route": model if backend == "gateway" else None,
                    "previewRoute": f"{model}-preview" if preview else None, "pathPrefix": "/", "stripPrefix": False},
        "scale": {"floor": floor}, "windowSeconds": window, "readySeconds": ready,
        "probe": {"path": "/predict", "timeoutSeconds": 5}, "drainSeconds": drain, "profile": "default",
    }  # fmt: skip
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"policy.json": json.dumps(policy)},
              "metadata": _metadata(model, f"{model}-policy", {"fairlead.dev/role": "policy"})}  # fmt: skip
    app = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "data": {"app.py": APP},
        "metadata": _metadata(model, f"{model}-app"),
    }
    objects = [config, app, _service(model, model, None)]
    objects += [_service(model, f"{model}-{slot}", slot) for slot in ("blue", "green")]
    if autoscaled:
        objects += [_autoscaler(model, slot, most) for slot in ("blue", "green")]
    if backend == "gateway":
        objects.append(_route(model, model, f"{model}.test", gateway))
        objects += [_route(model, f"{model}-preview", f"{model}-preview.test", gateway)] if preview else []
    return objects


def _service(model, name, slot):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(model, name),
               "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}  # fmt: skip
    if slot:
        service["spec"]["selector"] = {"fairlead.dev/model": model, "fairlead.dev/slot": slot}
    return service


def _autoscaler(model, slot, most):
    name = f"{model}-{slot}"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    cpu = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 9000}},
    }
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": _metadata(model, name),
            "spec": {"scaleTargetRef": target, "maxReplicas": most, "metrics": [cpu]}}  # fmt: skip


def _route(model, name, host, gateway):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": _metadata(model, name),
            "spec": {"parentRefs": [gateway], "hostnames": [host]}}  # fmt: skip


def _metadata(model, name, labels=None, annotations=None):
    return {
        "name": name,
        "labels": {"fairlead.dev/model": model, **(labels or {})},
        "annotations": annotations or {},
    }
