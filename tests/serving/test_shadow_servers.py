"""Two real servers that copy to each other: pairs in the log, copies apart from traffic and never copied again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.hostile_cases import INFER, ROW, tensor
from tests.serving.servers import Server, free_port, wait_for

COUNT = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "internal").write_text("0123456789abcdef0123456789abcdef")
    return folder


@pytest.fixture(scope="module")
def two(fraud_folder: Path, place: Path) -> Iterator[tuple[Server, Server]]:
    """A live server, and a preview that is asked its requests; each is set to copy to the other."""
    ports = free_port(), free_port()

    def start(number: int) -> Server:
        settings = {
            "FAIRLEAD_SLOT": ("live", "preview")[number],
            "FAIRLEAD_SHADOW_URL": f"http://127.0.0.1:{ports[1 - number]}",
            "FAIRLEAD_SHADOW_RATE": "0",
            "FAIRLEAD_SHADOW_SECONDS": "10",
            "FAIRLEAD_INTERNAL_TOKEN_FILE": str(place / "internal"),
            "FAIRLEAD_LOG_FOLDER": str(place / f"log-{number}"),
        }
        return Server(fraud_folder, place / f"said-{number}", settings, "--port", str(ports[number]))

    servers = start(0), start(1)
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def asked(two: tuple[Server, Server]) -> Mapping[str, Any]:
    """What was asked of the live server, with its answers by id; all copies have been answered."""
    live, _ = two
    answers = {}
    with httpx.Client(base_url=live.url, timeout=10) as client:
        for number in range(COUNT):
            row = ROW | {"amount": number}
            body, path = (tensor(data=[number]), INFER) if number % 2 else ({"rows": [row]}, "/predict")
            sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"content": body}
            response = client.post(path, headers={"x-request-id": f"request-{number}"}, **sent)
            assert response.status_code == 200
            answers[f"request-{number}"] = response.json()
    wait_for(lambda: live.metric("fairlead_shadow_pairs_total") == COUNT, seconds=20, says=lambda: said(live))
    return answers


def said(server: Server) -> str:
    """What it counts about copies."""
    text = httpx.get(f"{server.url}/metrics").text
    return "\n".join(line for line in text.splitlines() if "shadow" in line)


def series(server: Server, name: str) -> dict[str, float]:
    """The sum of a metric's series by route."""
    sums: dict[str, float] = {}
    for line in httpx.get(f"{server.url}/metrics").text.splitlines():
        if line.startswith(name) and "/metrics" not in line:
            route = line.partition('route="')[2].partition('"')[0]
            sums[route] = sums.get(route, 0.0) + float(line.rpartition(" ")[2])
    return sums


def test_every_request_is_a_pair_and_equal_models_never_differ(
    two: tuple[Server, Server], asked: Mapping[str, Any]
) -> None:
    live, _ = two
    assert live.metric("fairlead_shadow_pairs_total") == len(asked)
    assert live.metric("fairlead_shadow_flips_total") == 0
    assert live.metric("fairlead_shadow_shed_total") == 0


@pytest.mark.parametrize(
    "name", ["fairlead_requests_total", "fairlead_request_seconds_count", "fairlead_rows_total"]
)
def test_copies_are_counted_under_their_own_route(
    two: tuple[Server, Server], asked: Mapping[str, Any], name: str
) -> None:
    live, preview = two
    assert series(live, name) == {"live": len(asked)}
    assert series(preview, name) == {"shadow": len(asked)}


def test_a_copy_is_not_copied_again(two: tuple[Server, Server], asked: Mapping[str, Any]) -> None:
    live, preview = two
    assert preview.metric("fairlead_shadow_pairs_total") == 0
    assert preview.metric("fairlead_shadow_shed_total") == 0
    assert "shadow" not in series(live, "fairlead_requests_total")


def test_the_log_has_both_answers_of_each_pair_and_the_preview_logs_none(
    two: tuple[Server, Server], asked: Mapping[str, Any], place: Path
) -> None:
    def pairs() -> list[dict[str, Any]]:
        found = [one for one in records(place / "log-0") if one["kind"] == "pair"]
        return found if len(found) >= len(asked) else []

    kept = wait_for(pairs, seconds=10, says=lambda: str(list((place / "log-0").iterdir())))
    assert {one["id"] for one in kept} == set(asked)
    for one in kept:
        assert one["answers"] == [pytest.approx(row) for row in one["other_answers"]]
        assert (one["other_status"], one["flipped"], one["slot"]) == (200, False, "live")
    assert [one for one in records(place / "log-1") if one["kind"] != "worker"] == []


def records(folder: Path) -> list[dict[str, Any]]:
    """What is written so far, in the segment that is open."""
    lines = [line for path in folder.glob("*.open") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]
