"""A process that hangs or swells is ended. In processes of their own, since that is what ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from fairlead.serve.environment import Environment
from fairlead.serve.guards.watchdog import Watchdog, WatchSettings, resident_bytes

PROGRAM = """
import asyncio, re, threading, time
from fairlead.serve.guards.watchdog import Watchdog, WatchSettings

async def main():
    begun = time.monotonic()
    longest = {longest}
    dog = Watchdog(WatchSettings(hang_seconds={hang}), longest=longest)
    dog.start()
    {work}
    dog.stop()
    print("went on", flush=True)

asyncio.run(main())
"""


def run(work: str, hang: float = 0.5, longest: str = "lambda: 0.0") -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(work=work, hang=hang, longest=longest)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )


HANGS = {
    "a loop in Python": "exec('while True: pass')",
    "a call that sleeps": "time.sleep(60)",
    "a call that never lets go of the interpreter": "re.match(r'(a+)+$', 'a' * 60 + 'b')",
}


@pytest.mark.parametrize("work", HANGS.values(), ids=HANGS)
def test_a_blocked_event_loop_ends_the_process_with_all_stacks(work: str) -> None:
    started = time.monotonic()
    done = run(work)
    assert (done.returncode, done.stdout) == (1, "")
    assert time.monotonic() - started < 10
    assert done.stderr.startswith("Timeout (0:00:00.500000)!\n")
    assert 'File "<string>", line' in done.stderr


def test_a_thread_that_never_ends_ends_the_process() -> None:
    work = "threading.Thread(target=time.sleep, args=(60,), name='stuck', daemon=True).start(); await asyncio.sleep(20)"
    done = run(work, longest="lambda: time.monotonic() - begun")
    assert (done.returncode, done.stdout) == (1, "")
    assert "threading.py" in done.stderr


@pytest.mark.parametrize(
    ("work", "hang"),
    [("await asyncio.sleep(1.5)", 0.5), ("time.sleep(0.3)", 1.0), ("time.sleep(1)", 0.0)],
    ids=["a busy loop that gets on", "a short block", "switched off"],
)
def test_a_process_that_gets_on_is_left_alone(work: str, hang: float) -> None:
    done = run(work, hang)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_after_its_end_nothing_is_ended() -> None:
    program = (
        "import asyncio, time\n"
        "from fairlead.serve.guards.watchdog import Watchdog, WatchSettings\n"
        "async def main():\n"
        "    dog = Watchdog(WatchSettings(hang_seconds=0.2)); dog.start(); dog.stop(); time.sleep(0.6)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_resident_memory_is_that_of_the_process() -> None:
    before = resident_bytes()
    held = bytearray(b"x" * 50_000_000)
    assert resident_bytes() - before > 40_000_000
    assert before > 10_000_000
    del held


def test_too_much_memory_is_said_once() -> None:
    told: list[int] = []

    async def main() -> None:
        dog = Watchdog(WatchSettings(hang_seconds=0, memory_bytes=1), swollen=lambda: told.append(1))
        for _ in range(3):
            dog.start()
        dog.stop()

    asyncio.run(main())
    assert told == [1]


def test_memory_within_its_limit_is_left_alone() -> None:
    told: list[int] = []

    async def main() -> None:
        dog = Watchdog(WatchSettings(hang_seconds=0, memory_bytes=2**50), swollen=lambda: told.append(1))
        dog.start()
        dog.stop()

    asyncio.run(main())
    assert told == []


def test_by_default_a_swollen_process_is_told_to_end() -> None:
    program = (
        "import asyncio, signal\n"
        "from fairlead.serve.guards.watchdog import Watchdog, WatchSettings\n"
        "async def main():\n"
        "    told = asyncio.Event()\n"
        "    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)\n"
        "    Watchdog(WatchSettings(hang_seconds=0, memory_bytes=1)).start()\n"
        "    await asyncio.wait_for(told.wait(), 5)\n"
        "    print('drained')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "drained\n")
    assert "are more than 1: this process drains and ends" in done.stderr


def test_settings_come_from_the_environment() -> None:
    env = Environment({"FAIRLEAD_LIMIT_HANG": "0", "FAIRLEAD_LIMIT_MEMORY_BYTES": "200000000"})
    assert WatchSettings.from_environment(env) == WatchSettings(0.0, 200_000_000)
    assert WatchSettings.from_environment(Environment({})) == WatchSettings(60.0, 0)
