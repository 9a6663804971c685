"""The pages docs/serving.md and docs/settings.md: the one done as it says, the other complete."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tools.settings_page import SECTIONS, settings, settings_page

ROOT = Path(__file__).resolve().parents[2]
SERVE = ROOT / "components" / "fairlead" / "serve"


def commands() -> str:
    """What the page's blocks marked `sh` hold, as one script."""
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def said(fraud_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the page's commands print, and the folder in which they were run."""
    place = tmp_path_factory.mktemp("page")
    script = commands()
    with socket.socket() as http, socket.socket() as grpc:
        for stated, probe in (("8080", http), ("8081", grpc)):
            probe.bind(("127.0.0.1", 0))
            script = script.replace(stated, str(probe.getsockname()[1]))
    environment = {
        **os.environ,
        "BUNDLE": str(fraud_folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = process.communicate(timeout=100)
    finally:
        # The page's servers too, where a command failed before their end.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, stdout[-3000:] + stderr[-3000:]
    return stdout, place


def test_every_way_to_ask_answers(said: tuple[str, Path]) -> None:
    text, place = said
    for answered in ('"predictions"', '"explanations"', '{"accepted":1}', '"outputs"', "tritonclient.http [",
                     "tritonclient.grpc [", '{"data":{"model":{"name":"fraud"'):  # fmt: skip
        assert answered in text, answered
    assert '"openapi": "3.1' in (place / "openapi.json").read_text(encoding="utf-8")
    assert (place / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_was_asked_is_shipped_with_its_label(said: tuple[str, Path]) -> None:
    text, place = said
    assert list((place / "shipped").rglob("*.parquet"))
    assert "1 labels for 1 rows" in text
    assert "0 records lost in 0 gaps" in text


def test_a_key_is_asked_for(said: tuple[str, Path]) -> None:
    text, _ = said
    assert "without a key: 401\nwith the key: 200\n" in text


@pytest.mark.parametrize("page", ["serving.md", "settings.md"])
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


# ------------------------------------------------------------------------------------------------ settings


def test_every_variable_of_the_server_is_on_the_page() -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted(SERVE.rglob("*.py"))]
    named = {name for text in sources for name in re.findall(r'"((?:FAIRLEAD|OTEL)_[A-Z_]+[A-Z])"', text)}
    assert len(named) > 40
    assert sorted(named) == sorted(name for section in SECTIONS.values() for name in section)


def test_the_page_in_docs_is_what_the_code_reads() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_defaults_and_ranges_are_those_of_the_code() -> None:
    read = settings()
    assert (read["FAIRLEAD_PORT"].default, read["FAIRLEAD_PORT"].range) == ("8080", "0 to 65535")
    assert (read["FAIRLEAD_TRACE_SAMPLE"].default, read["FAIRLEAD_TRACE_SAMPLE"].range) == ("0.01", "0 to 1")
    assert read["FAIRLEAD_METRICS_OPEN"].default == "true"


def test_every_series_on_the_page_exists_and_none_is_left_out() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted(SERVE.rglob("*.py")))
    table = page.partition("## Metrics")[2].partition("## Traces")[0]
    shown = set(re.findall(r"`(fairlead_\w+)`", table))
    counted = set(re.findall(r'"(fairlead_[a-z_]+)"', sources))
    assert shown == counted
