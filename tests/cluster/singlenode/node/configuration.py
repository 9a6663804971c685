"""The configuration files of the node's components."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..places import API, DNS_SERVICE_IP, NODE_IP, POD_CIDR, State

Object = dict[str, Any]


def write(state: State) -> None:
    """Write every file. Only the kubeconfig is secret: it holds the administrator's token."""
    state.kubeconfig.touch(mode=0o600)
    _write(state.kubeconfig, kubeconfig(state))
    _write(state.config / "kubelet.json", kubelet(state))
    _write(state.root / "cni/10-bridge.conflist", pod_network(state))
    _write(state.config / "containerd.toml", containerd(state))
    _write(state.config / "Corefile", coredns(state))
    _write(state.config / "prometheus.yml", prometheus(state))
    search = "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    _write(state.config / "resolv.conf", f"nameserver {NODE_IP}\n{search}")
    _write(state.config / "pod-resolv.conf", f"nameserver {NODE_IP}\n")


def _write(path: Path, content: str | Object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))


def kubeconfig(state: State) -> Object:
    """How the administrator and all components reach the API server."""
    token = (state.pki / "token").read_text()
    server = {"server": API, "certificate-authority": str(state.pki / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "clusters": [{"name": "cluster", "cluster": server}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "admin"}}],
    }


def kubelet(state: State) -> Object:
    """The kubelet: everything may talk to it, and it keeps its images."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": True},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{state.pki}/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE_IP],
        "resolvConf": f"{state.config}/pod-resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": state.cgroup,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{state.containerd_socket}",
        "volumePluginDir": f"{state.root}/volumeplugins",
        "serializeImagePulls": False,
        "maxPods": 110,
        "syncFrequency": "10s",  # changed ConfigMaps and Secrets reach mounted volumes within about this
        # No registry: a collected image could not be had again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi"},
    }


def pod_network(state: State) -> Object:
    """Pods hang on one bridge. This plugin knows no NetworkPolicy: policies are accepted and not enforced."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"{state.run}/ipam",
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [{**bridge, "ipam": addresses}, ports]}


def containerd(state: State) -> str:
    """containerd, with all it has in the cluster's own folder."""
    return f"""\
version = 2
root = "{state.root}/containerd"
state = "{state.run}/containerd"
[grpc]
  address = "{state.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  stream_server_address = "127.0.0.1"
  # a process may not lower its oom_score_adj in some sandboxes; runc fails there otherwise
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state.root}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"""


def coredns(state: State) -> str:
    """The cluster's names; all others do not exist.

    Two blocks: within one, `template` always comes before `kubernetes`, whatever the order in the file.
    """
    return f"""\
cluster.local 10.in-addr.arpa {{
  bind {NODE_IP}
  errors
  ready 127.0.0.1:8181
  kubernetes {{
    kubeconfig {state.kubeconfig}
    ttl 2
  }}
  loadbalance
}}
. {{
  bind {NODE_IP}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def prometheus(state: State) -> str:
    """Scrapes annotated pods (see targets.py), Traefik and the kubelet's cAdvisor every 5 s."""
    return f"""\
global: {{scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 5s}}
scrape_configs:
- job_name: pods
  file_sd_configs: [{{files: ["{state.config}/targets.json"]}}]
- job_name: traefik
  static_configs: [{{targets: ["{NODE_IP}:8082"]}}]
- job_name: cadvisor
  scheme: https
  metrics_path: /metrics/cadvisor
  tls_config: {{insecure_skip_verify: true}}
  static_configs: [{{targets: ["{NODE_IP}:10250"]}}]
"""
