"""Fixtures of the tests on a cluster. See kubernetes.py for what a cluster and a namespace can do, traffic.py for requests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from tests.e2e.installed import Model, Platform, install_platform, model_of
from tests.e2e.kubernetes import Cluster, Namespace, Object
from tests.e2e.traffic import Load


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the story of a failed test's namespaces beside its traceback."""
    report = yield
    if report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, Namespace):
                report.sections.append((f"namespace {fixture.name}", fixture.story()))
    return report


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster of KUBECONFIG. Without one, every test that asks for it is skipped."""
    found = Cluster.from_environment()
    if found.tool:
        found.control("load", found.python_image)
    yield found
    found.remove_namespaces()


@pytest.fixture(scope="session")
def new_namespace(cluster: Cluster) -> Callable[..., Namespace]:
    """Makes namespaces for fixtures that outlive a test; they go when the tests are over.

    `new_namespace("runs")` is called `runs-1a2b3c4d`; keyword arguments are more labels.
    """

    def make(prefix: str = "e2e", **labels: str) -> Namespace:
        return cluster.create_namespace(f"{prefix}-{uuid.uuid4().hex[:8]}", **labels)

    return make


@pytest.fixture
def namespace(new_namespace: Callable[..., Namespace]) -> Iterator[Namespace]:
    """A namespace for one test, under the Pod Security profile `restricted`."""
    made = new_namespace()
    yield made
    made.cluster.kubectl("delete", "namespace", made.name, "--wait=false", "--ignore-not-found")


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def helm_version(request: pytest.FixtureRequest) -> int:
    """Runs the test once for each Helm that the charts support; give it to `helm(…, version=helm_version)`."""
    return int(request.param)


@pytest.fixture(scope="session")
def load(cluster: Cluster) -> Callable[..., Load]:
    """Traffic through the Gateway: `with load("model.test", "/predict", body=rows) as traffic: …`.

    All of :class:`tests.e2e.traffic.Load`'s options can be given; `address=` goes past the Gateway.
    """

    def make(host: str = "", path: str = "/", **options: Any) -> Load:
        return Load(options.pop("address", cluster.gateway), path, host=host, **options)

    return make


@pytest.fixture(scope="session")
def postgres(cluster: Cluster) -> str:
    """The URL of an empty PostgreSQL database, as the pods of the test cluster reach it."""
    cluster.control("start", "postgres")
    return f"postgresql://fairlead:fairlead@{cluster.node}:5432/fairlead"


@pytest.fixture(scope="session")
def platform(
    cluster: Cluster, new_namespace: Callable[..., Namespace], tmp_path_factory: pytest.TempPathFactory
) -> Platform:
    """The platform chart, installed, and a project whose rows are in its store."""
    return install_platform(cluster, new_namespace, tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def bundles(platform: Platform) -> tuple[Object, Object]:
    """Chart values of two bundles, each trained by a run whose stages were pods."""
    return platform.train(seed=0), platform.train(seed=1)


@pytest.fixture(scope="session")
def fraud(platform: Platform, bundles: tuple[Object, Object]) -> Model:
    """A model served from the first bundle. Tests may release what they like: they begin by saying what they need."""
    model = model_of(platform, platform.serving, "fraud", bundles[0])
    model.release()
    model.wait_until_served()
    return model
