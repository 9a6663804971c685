"""``fairlead bench serve`` ends as scripts can tell: kept, broken, not measurable, leaking."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.bundle.load.capacity import Capacity, Measured, capacity_of
from fairlead.bundle.load.measure import Timing
from fairlead.bundle.load.search import Outcome
from fairlead.cli import bench
from fairlead.errors import FairleadError, GateFailed, IntegrityError, NotFound, ProjectError, ServiceError
from fairlead.records import Bundle, LoadRound


@dataclass
class Server:
    """Answers every request after the same time."""

    seconds: float = 0.001
    late: float = 0.0
    growth: float = 0.0
    machine: dict[str, Any] = field(default_factory=dict)
    memory: float = 1e8

    def drive(self, due: NDArray[np.float64], patience: float) -> LoadRound:
        at = np.arange(1.0, due[-1])
        self.memory += self.growth * due[-1]
        samples = self.memory + self.growth * at
        return LoadRound(due, due + self.late, due + self.late + self.seconds, 1.0, 10**8, at, samples)


RECORD = Bundle("", "fraud", "ab", "onnx", [], "forest", "data")


def promised(highest: float | None = 1000.0, bundle: str = "ab") -> Capacity:
    outcome = Outcome.UNKNOWN if highest is None else Outcome.FOUND
    found = Measured(outcome, highest, highest and 20.0, None, None, None if highest is None else 1e-4, 10**8)
    return capacity_of(found, bundle=bundle, objective_ms=50.0, machine={})


def keep(server: Any) -> None:
    bench._keep(server, Timing(50.0, 1.0), promised(), as_json=False)


def soak(server: Any) -> None:
    bench._soak(server, Timing(50.0, 1.0), promised(), 3.0, as_json=False)


def test_a_promise_that_is_kept_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    keep(Server())
    assert "held: 700 requests a second within 50 ms" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("act", "server", "error", "code"),
    [
        pytest.param(keep, Server(seconds=0.2), GateFailed, 5, id="a slow server breaks its promise"),
        pytest.param(keep, Server(seconds=np.nan), GateFailed, 5, id="so does one that does not answer"),
        pytest.param(keep, Server(late=0.02), ServiceError, 8, id="a late generator says nothing about it"),
        pytest.param(soak, Server(growth=10_000.0), GateFailed, 5, id="memory leaks"),
    ],
)
def test_what_goes_wrong_has_its_exit_code(
    act: Any, server: Server, error: type[FairleadError], code: int
) -> None:
    with pytest.raises(error) as raised:
        act(server)
    assert raised.value.exit_code == code


def test_a_soak_without_growth_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    soak(Server())
    assert "no leak: memory grows by 0.0 MiB an hour" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(promised(bundle="cd").to_json(), IntegrityError, id="about another bundle"),
        pytest.param(promised(highest=None).to_json(), ProjectError, id="nothing was found"),
        pytest.param("{}", IntegrityError, id="no capacity file"),
        pytest.param(None, NotFound, id="no file"),
    ],
)
def test_what_promises_nothing_is_not_tried(
    tmp_path: Path, text: str | None, error: type[FairleadError]
) -> None:
    file = tmp_path / "capacity.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(error):
        bench._promise(file, RECORD)


def test_people_see_what_a_deployment_needs(capsys: pytest.CaptureFixture[str]) -> None:
    bench._show(promised())
    said = capsys.readouterr().out
    for part in (
        "1,000 requests/s",
        "700 requests/s, 30% headroom",
        "100 µs",
        "cpu 100m",
        "memory 128Mi",
        "70 % of the CPU",
    ):
        assert part in said
