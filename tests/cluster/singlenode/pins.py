"""Every version and package the cluster is made of. To update one, change its line and run `cluster build`."""

from __future__ import annotations

from dataclasses import dataclass

_VERSION_PACKAGE = "k8s.io/component-base/version"
KUBERNETES = "1.34.4"
TRAEFIK = "3.7.13"
HELM = "3.20.2"
HELM_4 = "4.2.3"
VERSITYGW = "1.8.0"
UV = "0.13.9"


@dataclass(frozen=True)
class GoProgram:
    """A program that `go` builds.

    Attributes:
        name: What the program is called here.
        package: The package to build: a path in *module*, or `path@version` where there is none.
        module: The folder under `go/` whose go.mod and go.sum pin what it is built from. Empty: the program's
            own go.mod does, and `go install` builds it.
        flags: For the linker; the version that the program reports.
        tags: Build tags.
    """

    name: str
    package: str
    module: str = ""
    flags: str = ""
    tags: str = ""


GO_PROGRAMS = (
    GoProgram(
        "kube",  # etcd, kubectl and every component in one: they share nearly all of their packages
        ".",
        module="k8s",
        flags=f"-X {_VERSION_PACKAGE}.gitVersion=v{KUBERNETES} -X {_VERSION_PACKAGE}.gitMajor=1 "
        f"-X {_VERSION_PACKAGE}.gitMinor=34 -X {_VERSION_PACKAGE}.gitTreeState=clean",
        tags="providerless",
    ),
    GoProgram("pause", ".", module="pause"),
    GoProgram(
        "traefik",
        "github.com/traefik/traefik/v3/cmd/traefik",
        module="traefik",
        flags=f"-X github.com/traefik/traefik/v3/pkg/version.Version={TRAEFIK}",
    ),
    GoProgram(
        "helm",
        f"helm.sh/helm/v3/cmd/helm@v{HELM}",
        # the second is the Kubernetes that `helm template` speaks of without a cluster: 1.20 unless told
        flags=f"-X helm.sh/helm/v3/internal/version.version=v{HELM} "
        "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=35",
    ),
    GoProgram(
        "helm4",
        f"helm.sh/helm/v4/cmd/helm@v{HELM_4}",
        flags=f"-X helm.sh/helm/v4/internal/version.version=v{HELM_4}",
    ),
    GoProgram("coredns", "github.com/coredns/coredns@v1.14.7"),
    GoProgram("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server@v0.9.0"),
    GoProgram(
        "versitygw",
        f"github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW}",
        flags=f"-X main.Version={VERSITYGW}",
    ),
)

# The names under which `kube` is called; each is a link to it.
KUBE_NAMES = (
    "etcd",
    "kubectl",
    "kubelet",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)

# A file that each Debian package brings (a pattern), and the package.
DEBIAN_PACKAGES = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/bin/buildah": "buildah",
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/bin/ip": "iproute2",
    "/usr/bin/openssl": "openssl",
    "/usr/bin/nsenter": "util-linux",
    "/usr/bin/prometheus": "prometheus",
    "/usr/sbin/sysctl": "procps",
    "/usr/lib/postgresql/*/bin/initdb": "postgresql",
}

# Custom resource definitions, applied from where they lie in these Go modules. Traefik's own kinds are there for
# TraefikService, its way to mirror requests.
CRDS = {
    "sigs.k8s.io/gateway-api": "config/crd/standard",
    "github.com/traefik/traefik/v3": "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
}

# What a cluster can have or leave out, in the order of starting. Traefik is last: it waits for its CRDs.
ADDONS = ("metrics-server", "prometheus", "postgres", "traefik")
DEFAULT_ADDONS = ("metrics-server", "traefik")
