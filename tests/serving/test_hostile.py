"""Whatever comes in, the next request is answered: every case of ``hostile_cases.py`` against a real server.

``FAIRLEAD_WRITE_DOCS=1 pytest -n0 tests/serving/test_hostile.py`` writes ``docs/hostile-input.md`` from the
outcomes; without the variable the last test compares the document with the cases.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.serving.hostile_cases import CASES, GOOD, Case
from tests.serving.servers import Server

from fairlead.serve.loading import read_schema

DOCUMENT = Path(__file__).parents[2] / "docs" / "hostile-input.md"
OUTCOMES: dict[str, str] = {}
"""What was seen, by case."""

SETTINGS = {
    "plain": {
        "FAIRLEAD_APIS": "graphql",
        "FAIRLEAD_LIMIT_HEADER_SECONDS": "1",
        "FAIRLEAD_LIMIT_MESSAGE_SECONDS": "1.2",
        "FAIRLEAD_LIMIT_BODY_SECONDS": "1",
    },
    "trouble": {
        "FAIRLEAD_LIMIT_HANG": "2",
        "FAIRLEAD_LIMIT_SECONDS": "1",
        "FAIRLEAD_LIMIT_MEMORY_BYTES": "800000000",
    },
}
"""Of the servers: short times, so that the tests are."""

TROUBLE = '''
"""A model that does what its first column says."""
import os, re, time
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

KEPT = []

class Trouble(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        asked, good = float(X[0, 0]) - 100, np.tile([0.75, 0.25], (len(X), 1))
        if asked == 1: raise ValueError("of the model's own")
        if asked == 2: raise SystemExit(3)
        if asked == 3: return self.predict_proba(X)
        if asked == 4: return np.ones(2**40)
        if asked == 5: return good * np.nan
        if asked == 6: return good[:1]
        if asked == 7: return np.full((len(X), 2), "high")
        if asked == 8: KEPT.append(np.ones(10_000_000, np.uint8))
        if asked == 9: time.sleep(3600)
        if asked == 10: re.match(r"(a+)+$", "a" * 60 + "b")
        if asked == 11: os.kill(os.getpid(), 11)
        return good
'''
SAVE = """
import sys; import numpy as np, skops.io
sys.path.insert(0, sys.argv[1]); from trouble import Trouble
skops.io.dump(Trouble().fit(np.zeros((2, 2)), np.array(["no", "yes"])), sys.argv[2])
"""


@pytest.fixture(scope="module")
def trouble_folder(
    tmp_path_factory: pytest.TempPathFactory, fraud_folder: Path, write: Callable[..., Path]
) -> Path:
    """A bundle with code of the project, which misbehaves."""
    scratch = tmp_path_factory.mktemp("trouble")
    (scratch / "trouble.py").write_text(TROUBLE)
    subprocess.run([sys.executable, "-B", "-c", SAVE, str(scratch), str(scratch / "model")], check=True)
    model, trusted = (scratch / "model").read_bytes(), ["trouble.Trouble"]
    folder = write(scratch / "bundle", read_schema(fraud_folder), model, "skops", trusted=trusted)
    (folder / "code").mkdir()
    (folder / "code" / "trouble.py").write_text(TROUBLE)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["code/trouble.py"] = hashlib.sha256(TROUBLE.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def servers(
    fraud_folder: Path, trouble_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Server]]:
    """The server of a name, started when it is first asked for."""
    logs = tmp_path_factory.mktemp("logs")
    started: dict[str, Server] = {}

    def get(name: str) -> Server:
        if name not in started:
            folder = trouble_folder if name == "trouble" else fraud_folder
            options = () if name == "trouble" else ("--grpc-port", "0")
            started[name] = Server(folder, logs / name, SETTINGS[name], *options)
        return started[name]

    yield get
    for server in started.values():
        server.stop()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_it_is_answered_and_so_is_the_next_request(case: Case, servers: Callable[[str], Server]) -> None:
    server = servers(case.server)
    begun = len(server.log())
    seen = case.send(server.target)
    if case.ends:
        server.process.wait(timeout=30)
        said = server.log()[begun:]
        server.start()
        assert re.search(case.log, said), said
    assert server.answers(), "the next request must be answered"
    assert seen in case.answers
    assert case.ends or _unexpected(server.log()[begun:], case.log) == ""
    OUTCOMES[case.id] = seen


def _unexpected(log: str, expected: str) -> str:
    """What the log says beyond what it may; a traceback belongs to the line before it."""
    entries = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log.strip("\n"))
    return "\n".join(entry for entry in entries if entry and not (expected and re.search(expected, entry)))


# ------------------------------------------------------------------------------------------ what befalls it

EVENTS = {
    "kill -9 under load, and a new start": "closed; 503 while the model is loading; 200",
    "stopped for a second, and continued": "200",
    "the disk is full under the prediction log": "200; what is not written is counted",
    "the shadow's target is dead": "200; what is shed is counted",
    "the shadow's target never answers": "200; what is shed is counted",
    "the shadow's target answers nonsense": "200; what is shed is counted",
}


class Load:
    """Requests one after the other from four threads, until told to end."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: Counter[str] = Counter()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        while not self._end.is_set():
            try:
                self._seen[self._server.target.send(GOOD)] += 1
            except OSError:
                time.sleep(0.01)  # nobody listens: it is being started again

    def end(self) -> Counter[str]:
        """How often each answer was seen."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        return self._seen


def test_killed_under_load_it_gives_no_wrong_answer_and_starts_again(
    fraud_folder: Path, tmp_path: Path
) -> None:
    server = Server(fraud_folder, tmp_path / "log", {})
    load = Load(server)
    time.sleep(0.5)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    server.start()
    time.sleep(0.5)
    seen = load.end()
    server.stop()
    assert set(seen) <= {"200", "503", "closed"}  # 503: the model is loading
    assert seen["200"] > 20
    _came_out("kill -9 under load, and a new start")


def test_stopped_and_continued_it_answers_what_waited(fraud_folder: Path, tmp_path: Path) -> None:
    server = Server(fraud_folder, tmp_path / "log", {})
    load = Load(server)
    time.sleep(0.2)
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(1)
    server.process.send_signal(signal.SIGCONT)
    time.sleep(0.2)
    seen = load.end()
    server.stop()
    assert set(seen) == {"200"}
    _came_out("stopped for a second, and continued")


def test_a_full_disk_under_the_log_stops_no_answer(fraud_folder: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: writing fails in the same way, for any user."""

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    settings = {"FAIRLEAD_LOG_FOLDER": str(tmp_path / "predictions")}
    server = Server(fraud_folder, tmp_path / "log", settings, preexec_fn=full)
    for _ in range(20):
        assert server.answers()
    until = time.monotonic() + 10
    while server.metric("fairlead_log_records_total") < 20 and time.monotonic() < until:
        time.sleep(0.05)  # what is written in one go is written or not as a whole
    for _ in range(300):
        assert server.answers()
    while not server.metric("fairlead_log_faults_total") and time.monotonic() < until:
        time.sleep(0.05)
    faults, written = server.metric("fairlead_log_faults_total"), server.metric("fairlead_log_records_total")
    lost = server.metric("fairlead_log_dropped_total") + server.metric("fairlead_log_waiting")
    server.stop()
    assert faults >= 1
    assert 20 <= written < 321
    assert written + lost <= 321  # a batch that is being tried again is in neither
    _came_out("the disk is full under the prediction log")


Ended = Callable[[], Any]


def _dead() -> tuple[str, Ended]:
    """A port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}", lambda: None


def _silent() -> tuple[str, Ended]:
    """A server that takes connections and never says a word."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    return f"http://127.0.0.1:{listening.getsockname()[1]}", listening.close


def _nonsense() -> tuple[str, Ended]:
    """A server that answers 200 and no JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>\xff\x00" * 1000)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", lambda: (server.shutdown(), server.server_close())


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (_dead, "the shadow's target is dead"),
        (_silent, "the shadow's target never answers"),
        (_nonsense, "the shadow's target answers nonsense"),
    ],
    ids=["dead", "silent", "nonsense"],
)
def test_a_shadow_that_fails_stops_no_answer(
    fraud_folder: Path, tmp_path: Path, target: Callable[[], tuple[str, Ended]], name: str
) -> None:
    url, end = target()
    settings = {"FAIRLEAD_SHADOW_URL": url, "FAIRLEAD_SHADOW_SECONDS": "0.2"}
    server = Server(fraud_folder, tmp_path / "log", settings)
    for _ in range(100):
        assert server.answers()
    time.sleep(1)
    shed, pairs = server.metric("fairlead_shadow_shed_total"), server.metric("fairlead_shadow_pairs_total")
    server.stop()
    end()
    assert (pairs, shed > 0) == (0, True)
    _came_out(name)


def _came_out(event: str) -> None:
    OUTCOMES[event] = EVENTS[event]


# ------------------------------------------------------------------------------------------------- the document


def test_the_document_says_what_the_cases_say() -> None:
    if os.environ.get("FAIRLEAD_WRITE_DOCS"):
        missing = {*EVENTS, *(case.id for case in CASES)} - set(OUTCOMES)
        assert not missing, f"these were not run or failed, so nothing is written: {sorted(missing)}"
        DOCUMENT.write_text(_document(OUTCOMES), encoding="utf-8")
    found = DOCUMENT.read_text(encoding="utf-8")
    several = {case.id: answer for case in CASES for answer in case.answers if _line(case, answer) in found}
    usual = {case.id: case.answers[0] for case in CASES}
    assert found == _document(usual | several | EVENTS)


def _document(outcomes: Mapping[str, str]) -> str:
    lines = [HEAD]
    for group in dict.fromkeys(case.group for case in CASES):
        lines += _table(group, [_line(case, outcomes[case.id]) for case in CASES if case.group == group])
    return "\n".join(
        [*lines, *_table("What befalls it", [f"| {name} | {outcomes[name]} | |" for name in EVENTS])]
    )


HEAD = """\
# Hostile input

What is sent to a served model, and what is answered. Every line was tried on a real server by
`tests/serving/test_hostile.py`, which wrote this page. After each of them an ordinary request is answered, and
the server's log has nothing but what the last column says. "closed" is a connection that ends without an answer.

The model has the fields amount (a number from 0 to 10,000), count (integer), abroad (boolean), country and
channel (categories) and at (time). Under "The model" it is the model that misbehaves; where its process ends, it
is started again, as a supervisor does.
"""


def _table(title: str, rows: list[str]) -> list[str]:
    return [f"## {title}", "", "| Case | Answer | In the log |", "| --- | --- | --- |", *rows, ""]


def _line(case: Case, answer: str) -> str:
    name = case.name.replace("|", "\\|").replace("<", "&lt;")
    return f"| {name} | {answer} | {_logged(case)} |".replace("|  |", "| |")


def _logged(case: Case) -> str:
    if not case.ends:
        return "the traceback" if case.log else ""
    if "drains" in case.log:
        return "how much there was; the process drains and ends"
    return "the stacks of all threads; the process ends" if case.log else "nothing; the process ends"
