"""Makes a volume, a directory on the node, for each claim of the storage class, and removes it with the claim.

The controller manager's own hostPath provisioner makes directories that only root may write, and `fsGroup` cannot
change those.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ..places import State
from .api import Api

PROVISIONER = "cluster.local/directory"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_VOLUMES = "/api/v1/persistentvolumes"

Object = dict[str, Any]


def volume(claim: Object, storage_class: Object, root: Path) -> Object:
    """The PersistentVolume that answers *claim*. Its size is what was asked for, and nobody enforces it."""
    name = volume_name(claim)
    owner = {key: claim["metadata"][key] for key in ("name", "namespace", "uid")}
    on_this_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node0"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **owner},
            "local": {"path": str(root / name)},  # unlike hostPath, `local` honours fsGroup
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_this_node]}]}},
        },
    }


def volume_name(claim: Object) -> str:
    """The name of the volume for *claim*."""
    return f"pvc-{claim['metadata']['uid']}"


def wanted(claims: list[Object], volumes: list[Object], classes: dict[str, Object]) -> list[Object]:
    """The claims that wait for a volume of ours."""
    there = {found["metadata"]["name"] for found in volumes}
    return [
        claim
        for claim in claims
        if claim["spec"].get("storageClassName") in classes
        and claim["status"]["phase"] == "Pending"
        and volume_name(claim) not in there
    ]


def unwanted(volumes: list[Object]) -> list[Object]:
    """The volumes of ours whose claims are gone."""
    return [
        found
        for found in volumes
        if found["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
        and found["status"]["phase"] == "Released"
        and found["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    ]


def turn(api: Api, root: Path) -> None:
    """Make what is wanted and remove what is not."""
    volumes = api.items(_VOLUMES)
    found = api.items("/apis/storage.k8s.io/v1/storageclasses")
    classes = {each["metadata"]["name"]: each for each in found if each["provisioner"] == PROVISIONER}
    for claim in wanted(api.items("/api/v1/persistentvolumeclaims"), volumes, classes):
        folder = root / volume_name(claim)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        api.call("POST", _VOLUMES, volume(claim, classes[claim["spec"]["storageClassName"]], root))
        print("made", folder.name, flush=True)
    for old in unwanted(volumes):
        api.call("DELETE", f"{_VOLUMES}/{old['metadata']['name']}")
        shutil.rmtree(old["spec"]["local"]["path"], ignore_errors=True)
        print("removed", old["metadata"]["name"], flush=True)


def main() -> None:
    """`python -m singlenode.node.volumes STATE`."""
    state = State(Path(sys.argv[1]))
    api = Api(state)
    while True:
        try:
            turn(api, state.root / "volumes")
        except OSError as error:  # HTTP errors too: a race with the API is settled at the next turn
            print(error, flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
