"""The command line of every component, by name. Its name is also that of its log."""

from __future__ import annotations

import sys

from ..places import API, NODE_IP, POD_CIDR, SERVICE_CIDR, Cache, State
from ..processes import Word

Commands = dict[str, list[Word]]

ETCD = "http://127.0.0.1:2379"
TRAEFIK_KINDS = (
    "crd/gatewayclasses.gateway.networking.k8s.io",
    "crd/referencegrants.gateway.networking.k8s.io",
    "crd/traefikservices.traefik.io",
    "crd/tlsstores.traefik.io",
)


def control_plane(state: State, cache: Cache) -> Commands:
    """What must run before the API server can answer."""
    return {
        "containerd": ["containerd", "--config", state.config / "containerd.toml"],
        "etcd": [
            cache.programs / "etcd", f"--data-dir={state.root}/etcd", f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}", "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # the data dies with the cluster anyway
        ],
        "kube-apiserver": [cache.programs / "kube-apiserver", *_api_server(state)],
    }  # fmt: skip


def _api_server(state: State) -> list[Word]:
    pki = state.pki
    return [
        f"--etcd-servers={ETCD}", "--bind-address=0.0.0.0", f"--advertise-address={NODE_IP}", "--secure-port=6443",
        f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt", f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
        f"--token-auth-file={pki}/tokens.csv", "--authorization-mode=Node,RBAC", "--allow-privileged",
        "--kubelet-preferred-address-types=InternalIP", "--profiling=false",
        # for metrics-server, whose endpoint is the node itself
        "--enable-aggregator-routing", f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-", f"--proxy-client-cert-file={pki}/apiserver.crt",
        f"--proxy-client-key-file={pki}/apiserver.key",
    ]  # fmt: skip


def workers(state: State, cache: Cache) -> Commands:
    """What needs the API server. None of it elects a leader: each is single."""
    kubeconfig = f"--kubeconfig={state.kubeconfig}"
    pki = state.pki
    return {
        "kube-controller-manager": [
            cache.programs / "kube-controller-manager", kubeconfig, "--leader-elect=false",
            f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={pki}/ca.crt",
            f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
            "--use-service-account-credentials",
            # the usual 15 s, 5 min, 5 min and 30 s make autoscaling tests needlessly long
            "--horizontal-pod-autoscaler-sync-period=5s",
            "--horizontal-pod-autoscaler-downscale-stabilization=30s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=30s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=10s",
        ],
        "kube-scheduler": [cache.programs / "kube-scheduler", kubeconfig, "--leader-elect=false"],
        "kubelet": [
            cache.programs / "kubelet", kubeconfig, f"--config={state.config}/kubelet.json",
            "--hostname-override=node0", f"--node-ip={NODE_IP}",
        ],
        "kube-proxy": [
            cache.programs / "kube-proxy", kubeconfig, "--proxy-mode=iptables", f"--cluster-cidr={POD_CIDR}",
            "--hostname-override=node0", "--iptables-min-sync-period=100ms",
            "--conntrack-max-per-core=0",  # that limit is the machine's: leave it
        ],
        "volumes": [sys.executable, "-m", "singlenode.node.volumes", state.root],
        "coredns": [cache.programs / "coredns", "-conf", state.config / "Corefile"],
    }  # fmt: skip


def addons(state: State, cache: Cache) -> dict[str, Commands]:
    """What a cluster may have or lack: for each addon, its components."""
    kubeconfig = f"--kubeconfig={state.kubeconfig}"
    return {
        "metrics-server": {
            "metrics-server": [
                cache.programs / "metrics-server", kubeconfig, f"--authentication-kubeconfig={state.kubeconfig}",
                f"--authorization-kubeconfig={state.kubeconfig}", "--secure-port=4443",
                f"--cert-dir={state.root}/metrics-server", "--kubelet-insecure-tls",
                "--kubelet-preferred-address-types=InternalIP",
                # the interval must be above the time-out
                "--metric-resolution=10s", "--kubelet-request-timeout=5s",
            ],
        },
        "prometheus": {
            "prometheus": [
                "prometheus", f"--config.file={state.config}/prometheus.yml",
                f"--storage.tsdb.path={state.root}/prometheus", f"--web.listen-address={NODE_IP}:9090",
                "--storage.tsdb.retention.time=1d",
            ],
            "prometheus-targets": [sys.executable, "-m", "singlenode.node.targets", state.root],
        },
        "postgres": {"postgres": [sys.executable, "-m", "singlenode.node.postgres", state.root]},
        "traefik": {"traefik": [cache.programs / "traefik", *_traefik(state)]},
    }  # fmt: skip


def _traefik(state: State) -> list[Word]:
    providers = [
        word
        for provider in ("kubernetesgateway", "kubernetescrd")
        for word in (
            f"--providers.{provider}=true", f"--providers.{provider}.endpoint={API}",
            f"--providers.{provider}.token={state.pki}/token",
            f"--providers.{provider}.certauthfilepath={state.pki}/ca.crt",
        )
    ]  # fmt: skip
    return [
        "--entrypoints.web.address=:80", "--entrypoints.websecure.address=:443",
        "--entrypoints.metrics.address=:8082", "--ping.entrypoint=metrics", "--metrics.prometheus.entrypoint=metrics",
        "--metrics.prometheus.addrouterslabels=true", "--metrics.prometheus.addserviceslabels=true",
        *providers, f"--providers.kubernetesgateway.statusaddress.ip={NODE_IP}",
        # The default of 2 s delays the second of two quick changes by that much: a pod that goes away would go on
        # getting requests.
        "--providers.providersthrottleduration=100ms",
        "--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=INFO",
    ]  # fmt: skip
