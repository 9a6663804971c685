"""What the tests of the model stage share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="session", autouse=True)
def one_arithmetic_thread() -> Iterator[None]:
    """As in a task: results do not depend on the number of cores, and parallel tests do not fight for them."""
    with threadpool_limits(limits=1):
        yield
