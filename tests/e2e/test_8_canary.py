"""A canary on a cluster: traffic moves by the Gateway's weights, decided by what the pods counted, and no request fails."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.installed import Model, version_of
from tests.e2e.kubernetes import Object, until
from tests.e2e.traffic import Load

from fairlead.release import names

PLAN = {"strategy": "canary", "steps": [20, 50], "soak": "4s",
        "guards": {"errors": {"margin": {"ratio": 1.25, "add": 0.02}}, "predictions": None}}  # fmt: skip


@pytest.fixture
def traffic(fraud: Model, bundles: tuple[Object, Object], load: Callable[..., Load]) -> Iterator[Load]:
    """Constant requests to the model, which serves the first bundle when they begin; none may fail."""
    before = dict(fraud.values["release"])
    fraud.release(bundle=bundles[0], scale={"minReplicas": 2, "maxReplicas": 4, "autoscale": False})
    fraud.wait_until_served()
    fraud.wait_until_settled()
    fraud.release(release={**before, "profile": "demo", "plan": PLAN})
    with load(
        fraud.host, "/predict", body=fraud.rows, threads=4, pause=0.005, seconds=300, version_of=version_of
    ) as requests:
        yield requests
        requests.wait(200)
    fraud.values["release"] = before
    requests.require_no_errors()


def whats(model: Model) -> list[str]:
    return [outcome["what"] for outcome in model.journal()["outcomes"]]


def shifting(model: Model) -> Object | None:
    """How far traffic of the release under way has moved."""
    release: Object | None = model.journal()["release"]
    return release["shift"] if release else None


def test_a_good_bundle_goes_through_the_weights_and_becomes_live(
    fraud: Model, bundles: tuple[Object, Object], traffic: Load
) -> None:
    fraud.release(bundle=bundles[1])
    revision = until(
        "the first weight", lambda: shifting(fraud) and fraud.journal()["release"]["revision"], 120
    )
    begun = len(traffic.requests)
    until(
        "the last weight",
        lambda: (shift := shifting(fraud)) and shift["step"] == 1 and shift["looks"] >= 3,
        120,
    )
    until("the end", lambda: fraud.journal()["release"] is None, 120)
    assert whats(fraud)[-3:] == ["started", "stepped", "switched"]
    assert fraud.journal()["slots"][fraud.journal()["live"]]["revision"] == revision
    fraud.wait_until_settled()
    versions = Counter(request.version for request in traffic.requests[begun:])
    assert {bundle["digest"][:16] for bundle in bundles} <= set(versions)


def test_a_person_ends_a_release_and_all_traffic_goes_back(
    fraud: Model, bundles: tuple[Object, Object], traffic: Load
) -> None:
    live = fraud.journal()["live"]
    fraud.release(bundle=bundles[1])
    until("the first weight", lambda: shifting(fraud), 120)
    command = json.dumps({"id": "1", "verb": "abort", "who": "eve", "why": "customers complain"})
    fraud.namespace.kubectl(
        "annotate", "configmap", f"{fraud.name}-policy", f"{names.COMMAND}={command}", "--overwrite"
    )
    until("the end", lambda: fraud.journal()["release"] is None, 30)
    assert fraud.journal()["outcomes"][-1]["why"] == "abort by eve: customers complain"
    assert fraud.journal()["live"] == live
    (rule,) = until("the rules", lambda: only_live(fraud, live), 30)
    assert len(rule["backendRefs"]) == 1
    fraud.wait_until_settled()
    assert traffic.requests[-1].version == bundles[0]["digest"][:16]


def only_live(model: Model, live: str) -> list[Object] | None:
    """The route's rules, once they name the live slot and no other."""
    rules: list[Object] = model.namespace.get("httproute", model.name)["spec"]["rules"]
    named = {reference["name"] for rule in rules for reference in rule["backendRefs"]}
    return rules if named == {names.slot_name(model.name, live)} else None
