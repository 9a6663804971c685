"""Objects in a file behave as those of an API server, as far as the driver relies on it."""

import json
from pathlib import Path

import pytest

from fairlead.adapters.local_objects import NAMESPACE, LocalCluster
from fairlead.errors import Conflict, IntegrityError


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    return LocalCluster(tmp_path)


def route(name: str = "m", **labels: str) -> dict:
    return {"kind": "HTTPRoute", "metadata": {"name": name, "labels": labels}, "spec": {"rules": []}}


def test_an_object_is_found_by_its_labels(cluster: LocalCluster) -> None:
    cluster.create(route("b", app="x", slot="blue"))
    cluster.create(route("a", app="x"))
    names = [item["metadata"]["name"] for item in cluster.find("HTTPRoute", NAMESPACE, "app=x")]
    assert names == ["a", "b"]
    assert [item["metadata"]["name"] for item in cluster.find("HTTPRoute", NAMESPACE, "app=x,slot")] == ["b"]
    assert cluster.find("Service", NAMESPACE, "app") == []


def test_a_write_on_an_older_version_is_refused_and_changes_nothing(cluster: LocalCluster) -> None:
    old = cluster.create(route())
    cluster.annotate("HTTPRoute", NAMESPACE, "m", {"a": "b"})
    with pytest.raises(Conflict, match="resourceVersion"):
        cluster.apply({**old, "spec": {"rules": [1]}})
    assert cluster.get("HTTPRoute", "m")["spec"] == {"rules": []}


def test_what_is_there_is_not_made_again(cluster: LocalCluster) -> None:
    cluster.create(route())
    with pytest.raises(Conflict):
        cluster.create(route())


def test_only_a_new_specification_is_a_new_generation(cluster: LocalCluster) -> None:
    made = cluster.create(route())
    cluster.report("HTTPRoute", "m", {"parents": []})
    cluster.annotate("HTTPRoute", NAMESPACE, "m", {"a": "b"})
    now = cluster.get("HTTPRoute", "m")
    assert now["metadata"]["generation"] == made["metadata"]["generation"] == 1
    assert cluster.apply({**now, "spec": {"rules": [1]}})["metadata"]["generation"] == 2


def test_an_equal_object_is_left_alone(cluster: LocalCluster) -> None:
    before = cluster.put(route())
    assert cluster.put(route()) == before
    assert (
        cluster.put({**route(), "status": {"x": 1}})["metadata"]["resourceVersion"]
        != before["metadata"]["resourceVersion"]
    )


def test_a_deployment_is_patched_and_scaled_on_its_version(cluster: LocalCluster) -> None:
    made = cluster.create(
        {"kind": "Deployment", "metadata": {"name": "m"}, "spec": {"replicas": 1, "template": {}}}
    )
    version = made["metadata"]["resourceVersion"]
    operations = [
        {"op": "add", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/spec/template", "value": {"a": 1}},
    ]
    patched = cluster.patch("Deployment", NAMESPACE, "m", operations)
    assert patched["spec"] == {"replicas": 1, "template": {"a": 1}}
    with pytest.raises(Conflict):
        cluster.scale(NAMESPACE, "m", 2, version)
    cluster.scale(NAMESPACE, "m", 2, patched["metadata"]["resourceVersion"])
    assert cluster.get("Deployment", "m")["spec"]["replicas"] == 2


def test_two_processes_share_the_file(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.create(route())
    assert LocalCluster(tmp_path).get("HTTPRoute", "m") == cluster.get("HTTPRoute", "m")


def test_a_damaged_file_is_named_with_the_way_out(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "objects.json").write_text('{"version": 1,')
    with pytest.raises(IntegrityError, match=r"objects\.json is damaged"):
        cluster.get("HTTPRoute", "m")


def test_a_file_is_always_whole(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.create(route())
    (tmp_path / ".objects.json.unfinished").write_text("half")  # what a kill leaves
    assert json.loads((tmp_path / "objects.json").read_text())["version"] == 1
    cluster.remove("HTTPRoute", "m")
    assert cluster.get("HTTPRoute", "m") is None
