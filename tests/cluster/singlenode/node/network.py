"""The node's network: one interface with its address, and no way out."""

from __future__ import annotations

from ..places import NODE_IP
from ..processes import run, succeeds

_NOWHERE = "10.200.0.254"
BEST_EFFORT = (
    "net.ipv4.ip_forward=1",
    "net.bridge.bridge-nf-call-iptables=1",
    "net.core.somaxconn=4096",
    "net.ipv4.ip_local_port_range=10240 60999",
)


def make() -> None:
    """Set up interfaces, routes and settings. The namespace has no link to the machine's own network."""
    run("ip", "link", "set", "lo", "up")
    # A bridge with no port carries the node's address: it needs no `dummy` driver in the kernel.
    run("ip", "link", "add", "node0", "type", "bridge")
    run("ip", "addr", "add", f"{NODE_IP}/24", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    # The addresses of Services need some route before iptables can rewrite them. Nothing answers at this one.
    run("ip", "route", "add", "default", "via", _NOWHERE, "dev", "node0")
    for setting in BEST_EFFORT:  # some kernels have none of these inside a namespace
        succeeds("sysctl", "-qw", setting)
