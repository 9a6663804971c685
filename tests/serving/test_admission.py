"""How much work is taken on at once, and what happens to the rest."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.admission import Admission, AdmissionSettings
from fairlead.serve.http import Refused


def admission_with(
    concurrency: int = 1, queue: int = 1, seconds: float = 5.0, wait: float = 1.0
) -> Admission:
    return Admission(AdmissionSettings(concurrency, queue, seconds, wait))


async def refused_by(work: Awaitable[Any]) -> Refused:
    with pytest.raises(Refused) as refused:
        await work
    return refused.value


async def settled(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_work_is_done_in_a_thread_and_its_result_returned() -> None:
    async def main() -> None:
        ran_in, result = await admission_with().run(lambda a, b: (threading.get_ident(), a + b), 2, 3)
        assert ran_in != threading.get_ident()
        assert result == 5

    asyncio.run(main())


@pytest.mark.parametrize(
    "error", [ValueError("no"), TimeoutError("its own"), Refused(422, "wrong")], ids=type
)
def test_what_the_work_raises_is_raised(error: Exception) -> None:
    def fail() -> None:
        raise error

    async def main() -> None:
        with pytest.raises(type(error)) as raised:
            await admission_with().run(fail)
        assert raised.value.args == error.args

    asyncio.run(main())


def test_beyond_the_threads_and_the_queue_work_is_refused_at_once() -> None:
    async def main() -> None:
        admission, go = admission_with(concurrency=2, queue=1), threading.Event()
        taken = [asyncio.create_task(admission.run(go.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0.05)
        refused = await refused_by(admission.run(go.wait, 5))
        assert (refused.status, refused.headers) == (503, ((b"retry-after", b"1"),))
        assert admission.taken() == 3
        go.set()
        assert await asyncio.gather(*taken) == [True] * 3
        assert await admission.run(lambda: "again") == "again"

    asyncio.run(main())


def test_after_its_time_the_caller_is_answered_and_the_place_is_still_taken() -> None:
    async def main() -> None:
        admission, go = admission_with(queue=0, seconds=0.05), threading.Event()
        assert (await refused_by(admission.run(go.wait, 5))).status == 504
        assert (await refused_by(admission.run(lambda: 1))).status == 503
        go.set()
        await settled(lambda: admission.taken() == 0)
        assert await admission.run(lambda: 1) == 1

    asyncio.run(main())


def test_work_that_waited_its_time_is_never_begun() -> None:
    async def main() -> None:
        admission, go, begun = admission_with(seconds=0.1), threading.Event(), []
        both = (admission.run(go.wait, 5), admission.run(begun.append, 1))
        assert [(await refused).status for refused in map(refused_by, both)] == [504, 504]
        go.set()
        await settled(lambda: admission.taken() == 0)
        assert begun == []

    asyncio.run(main())


def test_a_caller_who_goes_away_gives_its_place_back_when_the_work_ends() -> None:
    async def main() -> None:
        admission, go = admission_with(queue=0), threading.Event()
        task = asyncio.create_task(admission.run(go.wait, 5))
        await settled(lambda: admission.longest() > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert admission.taken() == 1
        go.set()
        await settled(lambda: admission.taken() == 0)

    asyncio.run(main())


def test_a_thousand_pieces_of_work_leave_no_place_behind() -> None:
    async def main() -> None:
        admission = admission_with(concurrency=4, queue=20)
        results = await asyncio.gather(
            *(admission.run(time.sleep, 0.0001) for _ in range(1000)), return_exceptions=True
        )
        assert {type(result) for result in results} <= {type(None), Refused}
        await settled(lambda: admission.taken() == 0)
        assert admission.longest() == 0

    asyncio.run(main())


def test_the_oldest_piece_of_work_is_known() -> None:
    async def main() -> None:
        admission, go = admission_with(concurrency=2), threading.Event()
        first = asyncio.create_task(admission.run(go.wait, 5))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(admission.run(go.wait, 5))
        await asyncio.sleep(0.02)
        assert 0.1 <= admission.longest() < 2
        go.set()
        await asyncio.gather(first, second)

    asyncio.run(main())


@pytest.mark.parametrize(("waited", "too_old"), [(0.0, False), (1.0, False), (1.01, True), (60.0, True)])
def test_a_request_that_waited_too_long_is_refused(waited: float, too_old: bool) -> None:
    refused = admission_with(wait=1.0).too_old(1000.0, 1000.0 + waited)
    assert (refused is not None) == too_old
    assert refused is None or (refused.status, refused.headers) == (503, ((b"retry-after", b"1"),))


def test_settings_come_from_the_environment() -> None:
    env = Environment({
        "FAIRLEAD_LIMIT_CONCURRENCY": "3", "FAIRLEAD_LIMIT_QUEUE": "0", "FAIRLEAD_LIMIT_SECONDS": "0.5",
        "FAIRLEAD_LIMIT_WAIT": "0.25",
    })  # fmt: skip
    assert AdmissionSettings.from_environment(env) == AdmissionSettings(3, 0, 0.5, 0.25)


def test_there_is_a_thread_for_each_processor_unless_set() -> None:
    import os

    settings = AdmissionSettings.from_environment(Environment({}))
    assert settings == AdmissionSettings(len(os.sched_getaffinity(0)), 32, 10.0, 2.0)


def test_a_setting_that_is_wrong_is_named() -> None:
    with pytest.raises(ProjectError, match="FAIRLEAD_LIMIT_CONCURRENCY is '0'"):
        AdmissionSettings.from_environment(Environment({"FAIRLEAD_LIMIT_CONCURRENCY": "0"}))
