"""Where everything is: the build cache, one cluster's state, and the addresses inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent  # the folder with `cluster`, go/ and manifests/
TOOL = HERE / "cluster"

# Each cluster has a network namespace of its own, so all use the same addresses.
NODE_IP = "10.200.0.1"
GATEWAY_IP = NODE_IP
POD_CIDR = "10.201.0.0/24"
SERVICE_CIDR = "10.202.0.0/16"
API_SERVICE_IP = "10.202.0.1"
DNS_SERVICE_IP = "10.202.0.10"
API = f"https://{NODE_IP}:6443"

PREFIX = "fairlead-cluster"
STATES = Path("/var/lib", PREFIX)


@dataclass(frozen=True)
class Cache:
    """What builds leave behind: shared by all clusters of a user, and safe to delete when none is up."""

    root: Path

    @classmethod
    def default(cls) -> Cache:
        """The cache folder of the user who calls."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(home, PREFIX))

    @property
    def programs(self) -> Path:
        """Programs by name; `exec` puts this folder on the PATH."""
        return self.root / "bin"

    @property
    def stamps(self) -> Path:
        """For each thing built, the digest of what it was built from."""
        return self.root / "stamps"

    @property
    def archives(self) -> Path:
        """Images as docker archives, named by image id."""
        return self.root / "images"

    @property
    def layers(self) -> Path:
        """Buildah's storage: nobody else's buildah sees it."""
        return self.root / "buildah"


@dataclass(frozen=True)
class State:
    """One cluster's files. `down` deletes the folder, and with it all the cluster ever had."""

    root: Path

    @classmethod
    def named(cls, name: str) -> State:
        """The state of the cluster *name*."""
        return cls(STATES / name)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.root.name

    @property
    def cgroup(self) -> str:
        """The control group of everything in the cluster, below our own."""
        return f"/{PREFIX}-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates, keys and the administrator's token."""
        return self.root / "pki"

    @property
    def config(self) -> Path:
        """The components' configuration files."""
        return self.root / "conf"

    @property
    def logs(self) -> Path:
        """One log file a component, named after it."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Sockets."""
        return self.root / "run"

    @property
    def pids(self) -> Path:
        """For each component, its process number inside the node."""
        return self.root / "pids"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def addons(self) -> Path:
        """The optional components, a name a line. The node starts what is added to it."""
        return self.root / "addons"

    @property
    def cgroup_mounts(self) -> Path:
        """Mount point of each cgroup hierarchy to our own path in it, as JSON."""
        return self.root / "cgroups.json"

    @property
    def loaded(self) -> Path:
        """For each image that `image` and `load` brought in, what it was."""
        return self.root / "loaded"

    def addon_names(self) -> list[str]:
        """The optional components this cluster has."""
        return self.addons.read_text().split()
