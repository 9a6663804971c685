"""Several models on one platform and one Gateway, by host and by path, and what each identity may do: its own, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.installed import Model, Platform, model_of
from tests.e2e.kubernetes import Object, request, until


@pytest.fixture(scope="module")
def neighbours(
    platform: Platform, bundles: tuple[Object, Object], fraud: Model
) -> Iterator[dict[str, Model]]:
    """Beside the model of the other tests: a second in its namespace, on its host by path, and a third elsewhere."""
    one_pod = {"scale": {"minReplicas": 1, "maxReplicas": 1, "autoscale": False}}
    gateway = fraud.values["traffic"]["gateway"]
    by_path = {"host": fraud.host, "gateway": gateway, "pathPrefix": "/second", "stripPrefix": True}
    second = model_of(platform, platform.serving, "second", bundles[1], traffic=by_path, **one_pod)
    third = model_of(platform, platform.elsewhere, "third", bundles[1], **one_pod)
    for model in (second, third):
        model.release()
    third.wait_until_served()
    yield {"fraud": fraud, "second": second, "third": third}
    for model in (second, third):
        model.uninstall()


def test_two_models_share_a_host_by_path(platform: Platform, neighbours: dict[str, Model]) -> None:
    second = neighbours["second"]

    def answers() -> bool:
        answer = request(platform.cluster.gateway, "/second/predict", host=second.host, body=second.rows)
        return answer.status == 200 and answer.json()["version"] == second.values["bundle"]["digest"][:16]

    until("the second model to answer under its path", answers, 180)
    assert (
        neighbours["fraud"].predict().json()["version"] == neighbours["fraud"].values["bundle"]["digest"][:16]
    )


def test_a_model_of_another_namespace_has_its_own_host(neighbours: dict[str, Model]) -> None:
    assert neighbours["third"].predict().status == 200


def test_all_names_fit(platform: Platform, neighbours: dict[str, Model]) -> None:
    kinds = ("deployments,services,configmaps,pods,jobs,httproutes,poddisruptionbudgets,"
             "horizontalpodautoscalers,serviceaccounts,roles")  # fmt: skip
    for namespace in (platform.home, platform.serving, platform.elsewhere, platform.runs):
        names = [each["metadata"]["name"] for each in namespace.get(kinds)["items"]]
        assert names
        assert max(map(len, names)) <= 63


READ = ("get", "list")
WRITE = ("create", "update", "patch", "delete")
# Who, in whose namespace, verbs, resource, allowed. An identity not named for a namespace may do nothing there.
MATRIX = [
    ("home:platform-driver", "serving", ("list", "create", "patch"), "deployments.apps", True),
    ("home:platform-driver", "elsewhere", ("list", "create", "patch"), "deployments.apps", True),
    ("home:platform-driver", "serving", ("list", "create", "update", "patch"), "configmaps", True),
    ("home:platform-driver", "serving", ("delete",), "deployments.apps", False),
    ("home:platform-driver", "serving", (*READ, *WRITE), "secrets", False),
    ("home:platform-driver", "serving", ("create",), "pods/exec", False),
    ("home:platform-driver", "runs", (*READ, *WRITE), "pods", False),
    ("home:platform-driver", "home", (*READ, *WRITE), "secrets", False),
    ("runs:fairlead-runner", "runs", ("create", "get", "list", "delete"), "pods", True),
    ("runs:fairlead-runner", "runs", (*READ, *WRITE), "secrets", False),
    ("runs:fairlead-runner", "serving", (*READ, *WRITE), "deployments.apps", False),
    ("runs:fairlead-runner", "serving", (*READ, *WRITE), "pods", False),
    ("runs:fairlead-runner", "home", (*READ, *WRITE), "pods", False),
    ("runs:fairlead-task", "runs", (*READ, *WRITE), "pods", False),
    ("runs:fairlead-task", "runs", (*READ, *WRITE), "secrets", False),
    ("runs:fairlead-task", "serving", (*READ, *WRITE), "deployments.apps", False),
    ("serving:fraud", "serving", (*READ, *WRITE), "pods", False),
    ("serving:fraud", "serving", (*READ, *WRITE), "secrets", False),
    ("serving:second", "serving", (*READ, *WRITE), "configmaps", False),
    ("elsewhere:third", "serving", (*READ, *WRITE), "deployments.apps", False),
]


def case(who: str, where: str, _: tuple[str, ...], what: str, allowed: bool) -> str:
    """What a line of the matrix claims."""
    return f"{who} {'may' if allowed else 'may not'} touch {what} in {where}"


@pytest.mark.parametrize(
    ("who", "where", "verbs", "what", "allowed"), MATRIX, ids=[case(*line) for line in MATRIX]
)
def test_identities_are_kept_apart(
    platform: Platform,
    neighbours: dict[str, Model],
    who: str,
    where: str,
    verbs: tuple[str, ...],
    what: str,
    allowed: bool,
) -> None:
    home, account = who.split(":")
    name = f"{getattr(platform, home).name}:{account}"
    target = getattr(platform, where)
    assert {verb: target.may(name, verb, what) for verb in verbs} == dict.fromkeys(verbs, allowed)
