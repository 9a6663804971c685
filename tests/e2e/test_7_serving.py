"""What a served model keeps and whom it answers: its log in the bucket, API keys, gRPC, and no request lost to SIGTERM."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
from tests.e2e.installed import BUCKET, Model, Platform, is_ready, model_of, reached
from tests.e2e.kubernetes import Answer, Object, request, until
from tests.e2e.traffic import Load
from tritonclient.utils import InferenceServerException

from fairlead.adapters.trees import open_tree
from fairlead.monitor.summary import Summary, summarize
from fairlead.serve.guards.access import new_key

NAME = "kept"
SECRET = "kept-access"
KEY, LINE = new_key("shop")
SECOND_KEY, SECOND_LINE = new_key("shop")
TARGET = f"s3://{BUCKET}/logs/{NAME}"
GRPC_PORT = 9000


def secret(*lines: str) -> Object:
    """The Secret with the key file and the internal credential."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"keys": "\n".join(lines), "token": "not-a-secret-of-anyone"},
    }


@pytest.fixture(scope="module")
def kept(platform: Platform, bundles: tuple[Object, Object]) -> Iterator[Model]:
    """A model that keeps a log in the platform's store, and answers those with a key, over HTTP and gRPC."""
    platform.serving.apply(secret(LINE))
    model = model_of(
        platform, platform.serving, NAME, bundles[0],
        access={"keysSecret": {"name": SECRET}, "internalTokenSecret": {"name": SECRET}},
        serving={"grpc": {"enabled": True, "port": GRPC_PORT}},
        log={"enabled": True, "target": TARGET, "shipEverySeconds": 2},
    )  # fmt: skip
    model.release()
    until(f"{NAME} answers", lambda: ask(model, KEY).status == 200, 240)
    yield model
    model.uninstall()


def ask(model: Model, key: str = "") -> Answer:
    """Ask through the Gateway, once."""
    headers = {"X-API-Key": key} if key else {}
    return request(
        model.namespace.cluster.gateway, "/predict", host=model.host, body=model.rows, headers=headers
    )


# ------------------------------------------------------------------------------------------------- access


def test_without_a_key_nobody_is_answered(kept: Model) -> None:
    refused = ask(kept)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert ask(kept, "guessed").status == 401
    assert ask(kept, KEY).status == 200


def test_a_release_without_a_credential_went_live_by_being_ready(kept: Model) -> None:
    assert kept.journal()["live"] in ("blue", "green")


def test_helm_test_is_let_in_by_the_internal_credential(kept: Model, helm_version: int) -> None:
    kept.namespace.helm("test", kept.name, "--timeout=120s", version=helm_version)


@pytest.mark.release
def test_a_new_key_is_taken_and_an_old_one_withdrawn_without_a_restart(kept: Model) -> None:
    """The kubelet brings a changed Secret to its pods within about a minute."""
    pods = {pod["metadata"]["uid"] for pod in kept.pods()}
    kept.namespace.apply(secret(SECOND_LINE))
    try:
        until("every pod takes the new key only", lambda: answers_by_key(kept) == {(401, 200)}, 180)
    finally:
        kept.namespace.apply(secret(LINE))
        until("every pod takes the first key again", lambda: answers_by_key(kept) == {(200, 401)}, 180)
    assert {pod["metadata"]["uid"] for pod in kept.pods()} == pods


def answers_by_key(model: Model) -> set[tuple[int, int]]:
    """What the pods say to the first and to the second key; each request has a connection, and perhaps a pod, of its own."""
    return {(ask(model, KEY).status, ask(model, SECOND_KEY).status) for _ in range(10)}


# --------------------------------------------------------------------------------------------------- gRPC


@pytest.fixture
def triton(kept: Model) -> Iterator[Any]:
    """A client that others wrote, at the Service's port of gRPC."""
    with reached(kept.namespace, kept.name, GRPC_PORT) as address:
        client = tritonclient.grpc.InferenceServerClient(address)
        yield client
        client.close()


def test_grpc_has_the_answer_of_http(kept: Model, triton: Any) -> None:
    name = kept.values["bundle"]["name"]
    answer = triton.infer(name, tensors(kept, triton), headers={"x-api-key": KEY})
    expected = ask(kept, KEY).json()["predictions"][0]
    told = answer.as_numpy("label").item()
    assert (told.decode() if isinstance(told, bytes) else told) == expected["label"]


def test_grpc_asks_for_a_key_too(kept: Model, triton: Any) -> None:
    with pytest.raises(InferenceServerException) as refused:
        triton.infer(kept.values["bundle"]["name"], [])
    assert "UNAUTHENTICATED" in str(refused.value.status())


TYPES = {"FP64": float, "FP32": np.float32, "INT64": np.int64, "BOOL": bool, "BYTES": object}


def tensors(model: Model, triton: Any) -> list[Any]:
    """The model's example row as tensors, by the types that the model itself tells."""
    told = triton.get_model_metadata(model.values["bundle"]["name"], as_json=True, headers={"x-api-key": KEY})
    row = model.rows["rows"][0]
    made = []
    for tensor in told["inputs"]:
        if row.get(tensor["name"]) is None:
            continue
        tensor_in = tritonclient.grpc.InferInput(tensor["name"], [1], tensor["datatype"])
        tensor_in.set_data_from_numpy(np.array([row[tensor["name"]]], TYPES[tensor["datatype"]]))
        made.append(tensor_in)
    return made


# ------------------------------------------------------------------------------------------ prediction log


def test_the_log_in_the_bucket_has_every_request_even_of_a_pod_that_is_gone(
    platform: Platform, kept: Model, load: Callable[..., Load]
) -> None:
    before = logged(platform)
    with load(
        kept.host, "/predict", body=kept.rows, headers={"X-API-Key": KEY}, threads=2, most=300
    ) as traffic:
        traffic.join()
    asked = traffic.require_no_errors()
    for pod in kept.pods():
        kept.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    until("all of it in the bucket", lambda: logged(platform) - before >= asked, 180)
    until("new pods", lambda: sum(map(is_ready, kept.pods())) == 2, 120)
    # Requests of the tests before may come in late as well, so the sum can be larger; a lost one would be a gap.
    assert summary_of(platform).gaps == []


def test_fairlead_log_show_tells_what_is_there(platform: Platform, kept: Model) -> None:
    """The command line, with what it needs of the store and nothing of the cluster."""
    assert ask(kept, KEY).status == 200
    until("a record in the bucket", lambda: logged(platform) > 0, 120)
    with platform.reached() as environment:
        command = [sys.executable, "-m", "fairlead.cli.main", "log", "show", TARGET]
        shown = subprocess.run(
            command,
            env={**environment, "COLUMNS": "200"},
            text=True,
            capture_output=True,
            timeout=120,
            check=True,
        )
    assert kept.values["bundle"]["digest"][:16] in shown.stdout
    assert "0 records lost in 0 gaps" in shown.stdout


def summary_of(platform: Platform) -> Summary:
    """What is in the log so far."""
    with platform.reached() as environment:
        return summarize(open_tree(TARGET, environment), 0.0)


def logged(platform: Platform) -> int:
    """Requests of clients in the log."""
    traffic = summary_of(platform).traffic
    return sum(found.requests for (_, _, route), found in traffic.items() if route == "live")


def test_the_server_has_no_credentials_of_the_bucket(kept: Model) -> None:
    pod = kept.pods()[0]["metadata"]["name"]
    shown = kept.namespace.kubectl(
        "exec", pod, "-c", "serve", "--", "python", "-c", "import os; print(*os.environ)"
    )
    assert "FAIRLEAD_LOG_FOLDER" in shown
    assert "AWS_" not in shown


# ------------------------------------------------------------------------------------------------ stopping


@pytest.mark.release
def test_sigterm_under_a_high_load_loses_no_request(kept: Model, load: Callable[..., Load]) -> None:
    """Every pod is stopped once while clients ask as fast as they are answered, on kept and on new connections."""
    options: dict[str, Any] = {
        "body": kept.rows, "headers": {"X-API-Key": KEY}, "pause": 0, "seconds": 300, "most": 1_000_000,
        "threads": 4 * (os.cpu_count() or 1),
    }  # fmt: skip
    with (
        load(kept.host, "/predict", **options) as kept_alive,
        load(kept.host, "/predict", **{**options, "threads": 2, "keep_alive": False}) as new,
    ):
        for pod in [pod["metadata"]["name"] for pod in kept.pods()]:
            kept.namespace.kubectl("delete", "pod", pod, "--wait=false")
            until(f"{pod} to be replaced", lambda gone=pod: is_replaced(kept, gone), 120)
        time.sleep(2)
    assert kept_alive.require_no_errors() + new.require_no_errors() > 1000


def is_replaced(model: Model, name: str) -> bool:
    """Whether two pods are ready without *name*."""
    pods = model.pods()
    return name not in {pod["metadata"]["name"] for pod in pods} and sum(map(is_ready, pods)) == 2
