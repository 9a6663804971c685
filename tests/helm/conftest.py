"""The helm programs of the rendering tests; without one the tests are skipped."""

from __future__ import annotations

import pytest
from tests.helm.rendering import helms


@pytest.fixture(scope="session")
def helm() -> str:
    """A helm program, version 3 if there is one."""
    if not helms():
        pytest.skip("no helm: set HELM, put it on the PATH, or run `make test`, which gets it")
    return min(helms().items())[1]


@pytest.fixture(scope="session", params=["3", "4"], ids=["helm3", "helm4"])
def each_helm(request: pytest.FixtureRequest) -> str:
    """Each supported helm in turn."""
    if request.param not in helms():
        pytest.skip(f"no helm {request.param}: set HELM{request.param.replace('3', '')} to its path")
    return helms()[request.param]
