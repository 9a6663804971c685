"""``fairlead bench serve`` against a real Bento, served by BentoML on this machine.

What a busy machine can do is not known, so these tests ask what holds on any: that requests arrive, that figures are
measured, that a promise far below what any machine can do is kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fairlead.adapters.bentos import BentomlBuilder
from fairlead.adapters.load import process_tree, serving
from fairlead.bundle.load.capacity import Capacity, Measured, capacity_of
from fairlead.bundle.load.search import Outcome
from fairlead.bundle.verify import CAPACITY, CONTENTS, other_files, verify
from fairlead.cli.main import app
from fairlead.errors import ServiceError
from fairlead.records import Bundle

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bundle(source_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished bundle with a linear model."""
    source, folder = source_of("linear"), tmp_path_factory.mktemp("load") / "bundle"
    manifest = json.loads((source / "bundle" / "manifest.json").read_bytes())
    BentomlBuilder().build(manifest["name"], manifest["digest"][:16], source, folder / "bento")
    schema = json.loads((source / "bundle" / "schema.json").read_bytes())
    row = {field["name"]: 1.0 for field in schema["fields"]}
    (folder / "attestations").mkdir()
    (folder / "attestations" / "examples.json").write_text(json.dumps({"rows": [row]}))
    record = Bundle(
        str(folder),
        manifest["name"],
        manifest["digest"],
        manifest["format"],
        [],
        "linear",
        manifest["dataset"],
    )
    record = dataclasses.replace(record, format_version=manifest["format_version"])
    (folder / "bundle.json").write_text(record.to_json())
    (folder / CONTENTS).write_text(json.dumps(other_files(folder)))
    verify(folder)
    return folder


def bench(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", "serve", *map(str, arguments)])


def test_requests_arrive_what_they_cost_is_measured_and_a_server_that_hangs_is_given_up(bundle: Path) -> None:
    with serving(bundle) as target:
        found = target.drive(np.arange(0, 2.5, 0.01), 30.0)
        pids = process_tree(target.pid)
        _signal(pids, signal.SIGSTOP)
        hung = target.drive(np.arange(0, 0.5, 0.1), 1.0)
        _signal(pids, signal.SIGCONT)
    assert np.isfinite(found.done).all()
    assert np.all(found.done > found.noticed)
    assert 0 < found.cpu_seconds < 60
    assert 30e6 < found.memory_bytes < 1e9
    assert len(found.memory_at) == len(found.memory_samples) >= 2
    assert np.isnan(hung.done).all()
    assert len(pids) > 1
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]  # nothing of the server is left


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def test_a_load_test_ends_in_a_capacity_file_and_the_bundle_stays_whole(bundle: Path) -> None:
    ended = bench(bundle, "--p99", 200, "--seconds", 1, "--rate", 500, "--price", 0.04, "--json")
    assert ended.exit_code == 0, ended.output
    found = Capacity.from_json((bundle / CAPACITY).read_bytes())
    assert json.loads(ended.stdout) == json.loads(found.to_json())
    assert found.bundle == verify(bundle).digest
    assert (found.rate is None) == (found.outcome in ("unknown", "below the lowest"))
    if found.rate is not None:
        assert found.replicas >= 1
        assert found.cost_per_million is not None
        assert found.cpu_seconds_per_request is not None
        assert 0 < found.cpu_seconds_per_request < 1


def test_a_promise_that_any_machine_can_keep_is_kept(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "capacity.json"
    found = Measured(Outcome.FOUND, 700.0, 1.0, None, None, 1e-4, 1)
    file.write_text(
        capacity_of(found, bundle=verify(bundle).digest, objective_ms=2000.0, machine={}).to_json()
    )
    ended = bench(bundle, "--seconds", 1, "--check", file)
    assert ended.exit_code == 0, ended.output
    assert "held: 490 requests a second within 2000 ms" in ended.stdout


def test_a_server_that_refuses_the_examples_is_no_server_to_measure(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_LIMIT_BODY_BYTES", "5")
    with pytest.raises(ServiceError, match="413 to an example row"), serving(bundle):
        pass
