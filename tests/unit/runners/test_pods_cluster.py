"""The calls of the Kubernetes API that a run makes, against an HTTP server that answers as an API server would."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairlead.errors import ServiceError
from fairlead.runners.pods import cluster as calls
from fairlead.runners.pods import submit
from fairlead.runners.pods.cluster import Cluster

POD = {"metadata": {"name": "p", "creationTimestamp": "2026-01-02T03:04:05Z"}, "status": {"phase": "Running"}}
JOB = {"metadata": {"name": "r", "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}, "status": {}}


def refusal(status: int, reason: str) -> tuple[int, dict]:
    return status, {"kind": "Status", "reason": reason, "message": f"said: {reason}", "code": status}


class Api:
    """Gives the scripted answers in order, the last one again and again."""

    def __init__(self, url: str):
        self.url, self.answers, self.asked = url, {}, []

    def script(self, request: str, *answers: tuple[int, dict]) -> None:
        """*request* is a method and the end of a path: ``GET pods/p``."""
        self.answers[request] = list(answers)

    def answer(self, method: str, path: str) -> tuple[int, dict]:
        if path == "/version/":
            return 200, {"major": "1", "minor": "34", **dict.fromkeys(
                ("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"), "")}  # fmt: skip
        request = f"{method} {path.partition('/namespaces/runs/')[2].partition('?')[0]}"
        self.asked.append(request)
        answers = self.answers.get(request, [refusal(404, "NotFound")])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def api(monkeypatch, tmp_path) -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = found.answer(self.command, self.path)
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Api(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        named = {"name": "a", "cluster": {"server": found.url}}, {"name": "a", "context": {"cluster": "a"}}
        config = {"current-context": "a", "clusters": [named[0]], "contexts": [named[1]], "users": []}
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        monkeypatch.setattr(calls.time, "sleep", lambda _seconds: None)
        yield found
        server.shutdown()


@pytest.mark.parametrize(
    "fault", [refusal(503, "ServiceUnavailable"), refusal(429, "TooManyRequests")], ids=["away", "busy"]
)
def test_a_moment_s_fault_is_waited_out_for_reads_and_writes(api, fault):
    api.script("GET pods/p", fault, fault, (200, POD))
    api.script("POST pods", fault, (201, POD))
    api.script("GET pods", fault, (200, {"items": [POD]}))
    cluster = Cluster("runs")
    cluster._create(cluster._core.create_namespaced_pod, POD)
    assert cluster.pod("p")["status"]["phase"] == "Running"
    assert len(cluster.pods("a=b")) == 1
    assert [api.asked.count(request) for request in ("POST pods", "GET pods/p", "GET pods")] == [2, 3, 2]


def test_a_quota_that_counted_two_pods_at_once_is_asked_again(api):
    api.script("POST configmaps", refusal(409, "Conflict"), (201, POD))
    Cluster("runs").create_config_map(POD)
    assert api.asked == ["POST configmaps"] * 2


def test_what_exists_is_joined(api):
    api.script("POST jobs", refusal(409, "AlreadyExists"))
    api.script("GET jobs/r", (200, JOB))
    assert Cluster("runs").create_job(JOB) == "u"


def test_a_refusal_is_told_at_once_in_the_api_s_words_with_the_way_out(api):
    api.script("POST configmaps", refusal(403, "Forbidden"))
    with pytest.raises(ServiceError, match="said: Forbidden") as told:
        Cluster("runs").create_config_map(POD)
    assert ("Role" in told.value.hint, api.asked) == (True, ["POST configmaps"])


def test_what_is_not_there_is_deleted_without_an_error(api):
    cluster = Cluster("runs")
    cluster.delete("p")
    cluster.delete_job("r")
    assert (cluster.pod("p"), cluster.job("r")) == (None, {})


def test_where_no_api_answers_it_is_said_at_once(api, monkeypatch, tmp_path):
    text = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(text.replace(api.url, "http://127.0.0.1:9"))
    monkeypatch.setattr(calls.time, "sleep", lambda _seconds: pytest.fail("it waited"))
    with pytest.raises(ServiceError, match="does not answer"):
        Cluster("runs")


def test_a_run_starts_again_when_nothing_of_the_old_one_is_left(api):
    api.script("DELETE jobs/r", (200, JOB))
    api.script("GET jobs/r", (200, JOB), refusal(404, "NotFound"))
    api.script("GET configmaps/r", (200, POD), refusal(404, "NotFound"))
    api.script("GET pods", (200, {"items": [POD]}), (200, {"items": []}))
    submit.restart(Cluster("runs"), "r")
    assert api.asked[-1] == "GET pods"
    assert [api.asked.count(f"GET {what}") for what in ("jobs/r", "configmaps/r", "pods")] == [4, 3, 2]


def test_what_does_not_go_is_named(api, monkeypatch):
    api.script("DELETE jobs/r", (200, JOB))
    api.script("GET pods", (200, {"items": [POD]}))
    monkeypatch.setattr(submit, "GOING_SECONDS", -1)
    with pytest.raises(ServiceError, match="the pod p of the run r is still there"):
        submit.restart(Cluster("runs"), "r")


def test_following_a_run_whose_log_is_gone_ends(api):
    api.script("GET jobs/r", (200, {**JOB, "status": {"succeeded": 1}}))
    api.script("GET pods", (200, {"items": []}))
    with pytest.raises(submit.NotFound, match="ended well"):
        submit.follow(Cluster("runs"), "r", lambda _event: None)
