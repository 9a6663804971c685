"""The warm server: calls in forks, outcomes, and what makes forking safe."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from fairlead.adapters.progress import Event, EventProgress
from fairlead.errors import DataError
from fairlead.runners.warm import TaskCrashed, WarmServer

pytestmark = pytest.mark.xdist_group("warm")


def add(left: int, right: int) -> int:
    print("adding")
    return left + right


def read_environment(name: str) -> str:
    return os.environ.get(name, "")


def fail_with_data_error() -> None:
    raise DataError("no rows in x.csv", hint="Look at x.csv.")


def fail_with_a_bug() -> None:
    raise KeyError("surprise")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def report_progress() -> None:
    progress = EventProgress("data")
    progress.note("42 rows")
    with progress.bar("reading", 10) as advance:
        advance(10)


def modules_loaded(names: list[str]) -> list[str]:
    import sys

    return [name for name in names if name in sys.modules]


def threads_of_parent() -> int:
    return len(list(Path(f"/proc/{os.getppid()}/task").iterdir()))


@pytest.fixture(scope="module")
def server() -> WarmServer:
    server = WarmServer()
    server.start()
    return server


def call(server: WarmServer, tmp_path: Path, function, *args, environment=None, on_event=lambda event: None):
    return server.call(
        function, *args, environment=environment or {}, log=tmp_path / "log", on_event=on_event
    )


def test_a_call_returns_what_the_function_returns(server, tmp_path):
    assert call(server, tmp_path, add, 2, 3) == 5


def test_output_of_a_call_goes_to_its_log(server, tmp_path):
    call(server, tmp_path, add, 2, 3)
    assert (tmp_path / "log").read_text() == "adding\n"


def test_a_call_sees_its_own_environment_and_leaves_the_callers_alone(server, tmp_path):
    assert call(server, tmp_path, read_environment, "FAIRLEAD_X", environment={"FAIRLEAD_X": "1"}) == "1"
    assert "FAIRLEAD_X" not in os.environ


def test_an_error_of_ours_is_raised_again_with_its_kind_and_hint(server, tmp_path):
    with pytest.raises(DataError) as caught:
        call(server, tmp_path, fail_with_data_error)
    assert (caught.value.message, caught.value.hint) == ("no rows in x.csv", "Look at x.csv.")


def test_a_bug_is_raised_as_a_crash_that_names_the_log(server, tmp_path):
    with pytest.raises(TaskCrashed, match="KeyError: 'surprise'") as caught:
        call(server, tmp_path, fail_with_a_bug)
    assert str(tmp_path / "log") in caught.value.hint


def test_a_killed_child_is_a_crash_and_the_server_goes_on(server, tmp_path):
    with pytest.raises(TaskCrashed, match="ended with code -9"):
        call(server, tmp_path, die)
    assert call(server, tmp_path, add, 1, 1) == 2


def test_progress_events_reach_the_caller_in_order(server, tmp_path):
    seen: list[Event] = []
    call(server, tmp_path, report_progress, on_event=seen.append)
    assert [(event.kind, event.text, event.done) for event in seen[:2]] == [
        ("note", "42 rows", 0),
        ("bar", "reading", 10),
    ]


def test_every_module_of_the_preload_list_is_loaded_in_a_child(server, tmp_path):
    from fairlead.runners.warm import PRELOAD

    assert call(server, tmp_path, modules_loaded, list(PRELOAD)) == list(PRELOAD)


def test_the_server_has_one_thread_when_it_forks(server, tmp_path):
    assert call(server, tmp_path, threads_of_parent) == 1


def test_a_warm_call_takes_a_fraction_of_the_imports(server, tmp_path):
    call(server, tmp_path, add, 0, 0)
    started = time.monotonic()
    call(server, tmp_path, add, 0, 0)
    # The imports take seconds. This only tells warm from cold; the figure itself is in benchmarks/.
    assert time.monotonic() - started < 2


def test_starts_in_several_threads_leave_the_environment_as_it_was(server: WarmServer) -> None:
    """Tasks of a parallel step start at the same time; what one sets for a moment must not stay by the other."""
    before = dict(os.environ)
    for _ in range(50):
        threads = [threading.Thread(target=server.start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert dict(os.environ) == before
