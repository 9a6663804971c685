"""The alerts fire when they should, judged by Prometheus' own promtool on made-up series."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.models import MANAGED, with_values
from tests.helm.rendering import render

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="no promtool on the PATH: it comes with Prometheus")

POD = 'namespace="serving",pod="fraud-blue-7d4b9c6f5-x2x9z"'
PREDICT = f'{POD},route="/predict"'

Series = dict[str, str]
"""Series by name and labels; a value for each minute, as promtool writes it: start+step x times."""

READY: Series = {f"fairlead_ready{{{POD}}}": "1x240"}


def traffic(errors: int = 0, route: str = "/predict") -> Series:
    """A thousand requests a minute, so many of them answered with a 5xx."""
    labels = f'{POD},route="{route}"'
    return {
        f'fairlead_requests_total{{{labels},code="200"}}': f"0+{1000 - errors}x240",
        f'fairlead_requests_total{{{labels},code="500"}}': f"0+{errors}x240",
        f"fairlead_errors_total{{{labels}}}": f"0+{errors}x240",
    }


def latency(slow: int) -> Series:
    """A thousand answers a minute: so many within 250 ms, the rest within 5 ms."""
    name = "fairlead_request_seconds_bucket"
    return {
        f'{name}{{{PREDICT},le="0.005"}}': f"0+{1000 - slow}x240",
        f'{name}{{{PREDICT},le="0.1"}}': f"0+{1000 - slow}x240",
        f'{name}{{{PREDICT},le="0.25"}}': "0+1000x240",
        f'{name}{{{PREDICT},le="+Inf"}}': "0+1000x240",
    }


BURN, SLOW = "FairleadModelErrorBudgetBurn", "FairleadModelSlow"

# The budget of 99.9 % is one request in a thousand; 14.4, 6, 3 and 1 times that raise the four burn alerts.
CASES: dict[str, tuple[Series, list[str]]] = {
    "all is well": ({**READY, **traffic(), **latency(0)}, []),
    "no traffic": (READY, []),
    "errors within the budget": ({**READY, **traffic(errors=1)}, []),
    "errors that last": ({**READY, **traffic(errors=2)}, [f"{BURN} 3d"]),
    "errors that warn soon": ({**READY, **traffic(errors=4)}, [f"{BURN} 1d", f"{BURN} 3d"]),
    "errors that page": ({**READY, **traffic(errors=20)}, [f"{BURN} 1d", f"{BURN} 1h", f"{BURN} 3d", f"{BURN} 6h"]),
    "probes that fail": ({**READY, **traffic(), **traffic(errors=500, route="/readyz")}, []),
    "one slow answer in two hundred": ({**READY, **traffic(), **latency(5)}, []),
    "two slow answers in a hundred": ({**READY, **traffic(), **latency(20)}, [SLOW]),
    "one restart": ({**READY, f"process_start_time_seconds{{{POD}}}": "1x215 2x25"}, []),
    "two restarts": (
        {**READY, f"process_start_time_seconds{{{POD}}}": "1x215 2x10 3x15"},
        ["FairleadModelRestarting"],
    ),
    "none is ready": ({f"fairlead_ready{{{POD}}}": "0x240"}, ["FairleadModelNotReady"]),
    "none is there": ({}, ["FairleadModelNotReady"]),
    "another model is ready": (
        {'fairlead_ready{namespace="serving",pod="prices-blue-7d4b9c6f5-x2x9z"}': "1x240"},
        ["FairleadModelNotReady"],
    ),
}  # fmt: skip


def rules(helm: str) -> dict[str, Any]:
    values = with_values(MANAGED, {"monitoring": {"rules": {"enabled": True}}})
    spec: dict[str, Any] = render(helm, "fairlead-model", values).one("PrometheusRule", "fraud")["spec"]
    return spec


@pytest.mark.parametrize(("series", "firing"), CASES.values(), ids=CASES)
def test_firing_after_four_hours(series: Series, firing: list[str], helm: str, tmp_path: Path) -> None:
    spec = rules(helm)
    spec = {
        "groups": [{**group, "rules": [_bare(rule) for rule in group["rules"]]} for group in spec["groups"]]
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    alerts = [rule for group in spec["groups"] for rule in group["rules"]]
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "5m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": "3h55m", "alertname": name, "exp_alerts": _expected(name, alerts, firing)}
                    for name in sorted({rule["alert"] for rule in alerts})
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test), encoding="utf-8")
    command = [str(PROMTOOL), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _bare(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without its texts, which promtool would compare word by word."""
    return {key: value for key, value in rule.items() if key != "annotations"}


def _expected(name: str, alerts: list[dict[str, Any]], firing: list[str]) -> list[dict[str, Any]]:
    """The alerts called *name* that should fire, as promtool wants them: by their labels."""
    found = [rule for rule in alerts if rule["alert"] == name and _called(rule) in firing]
    pod = {"pod": "fraud-blue-7d4b9c6f5-x2x9z"} if name == "FairleadModelRestarting" else {}
    return [{"exp_labels": {**rule["labels"], **pod}} for rule in found]


def _called(rule: dict[str, Any]) -> str:
    return f"{rule['alert']} {rule['labels'].get('window', '')}".strip()


def test_prometheus_reads_every_rule(helm: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules(helm)), encoding="utf-8")
    command = [str(PROMTOOL), "check", "rules", "rules.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "7 rules found" in done.stdout, done.stdout + done.stderr
