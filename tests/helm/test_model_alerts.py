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
PREDICT = f'{POD},endpoint="/predict",route="live"'

Series = dict[str, str]
"""Series by name and labels; a value for each minute, as promtool writes it: start+step x times."""

READY: Series = {f"fairlead_ready{{{POD}}}": "1x240"}


def traffic(errors: int = 0, endpoint: str = "/predict", route: str = "live") -> Series:
    """A thousand requests a minute, so many of them answered with a 5xx."""
    labels = f'{POD},endpoint="{endpoint}",route="{route}"'
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


def lost(reason: str, a_minute: int) -> Series:
    """A log that lost records: a hundred in the second hour, and so many a minute since the third."""
    labels = f'{POD},reason="{reason}"'
    return {f"fairlead_log_dropped_total{{{labels}}}": f"0x60 0+2x50 100x20 100+{a_minute}x110"}


def copies(shed: int, reason: str = "timeout") -> Series:
    """A hundred copies a minute, so many of them without an answer."""
    return {
        f'fairlead_shadow_shed_total{{{POD},reason="{reason}"}}': f"0+{shed}x240",
        f"fairlead_shadow_pairs_total{{{POD}}}": f"0+{100 - shed}x240",
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
    "probes that fail": ({**READY, **traffic(), **traffic(errors=500, endpoint="/readyz")}, []),
    "shadow calls that fail": ({**READY, **traffic(), **traffic(errors=500, route="shadow")}, []),
    "one slow answer in two hundred": ({**READY, **traffic(), **latency(5)}, []),
    "two slow answers in a hundred": ({**READY, **traffic(), **latency(20)}, [SLOW]),
    "one restart": ({**READY, f"process_start_time_seconds{{{POD}}}": "1x215 2x25"}, []),
    "two restarts": (
        {**READY, f"process_start_time_seconds{{{POD}}}": "1x215 2x10 3x15"},
        ["FairleadModelRestarting"],
    ),
    "a worker restarted once": ({**READY, f"fairlead_worker_starts_total{{{POD}}}": "2x215 3x25"}, []),
    "the workers of a new pod": ({**READY, f"fairlead_worker_starts_total{{{POD}}}": "_x220 1x1 2x20"}, []),
    "workers restart": (
        {**READY, f"fairlead_worker_starts_total{{{POD}}}": "2x215 3x5 4x5 5x15"},
        ["FairleadModelRestarting"],
    ),
    "records lost": ({**READY, **lost("queue", 5)}, ["FairleadModelLogDrops"]),
    "records lost an hour ago": ({**READY, **lost("queue", 0)}, []),
    "records over the rate that was set": ({**READY, **lost("rate", 5)}, []),
    "keys that cannot be used": (
        {**READY, f"fairlead_credentials_broken_total{{{POD}}}": "0x215 1x25"},
        ["FairleadModelCredentialsBroken"],
    ),
    "a shadow that keeps up": ({**READY, **copies(shed=5)}, []),
    "a shadow that does not": ({**READY, **copies(shed=20)}, ["FairleadModelShadowSheds"]),
    "a shadow over the rate that was set": ({**READY, **copies(shed=90, reason="rate")}, []),
    "none is ready": ({f"fairlead_ready{{{POD}}}": "0x240"}, ["FairleadModelNotReady"]),
    "none is there": ({}, ["FairleadModelNotReady"]),
    "another model is ready": (
        {'fairlead_ready{namespace="serving",pod="prices-blue-7d4b9c6f5-x2x9z"}': "1x240"},
        ["FairleadModelNotReady"],
    ),
}  # fmt: skip


ALL_ON: dict[str, Any] = {
    "serving": {"workers": 2},
    "access": {"internalTokenSecret": {"name": "internal"}},
    "shadow": {"url": "http://next"},
    "log": {"enabled": True, "target": "s3://logs/fraud"},
}
"""With everything that has an alert of its own."""


def rules(helm: str) -> dict[str, Any]:
    values = with_values(MANAGED, {"monitoring": {"rules": {"enabled": True}}, **ALL_ON})
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


SERIES_LABELS = {
    "FairleadModelRestarting": {"pod": "fraud-blue-7d4b9c6f5-x2x9z"},
    "FairleadModelCredentialsBroken": {"pod": "fraud-blue-7d4b9c6f5-x2x9z"},
    "FairleadModelLogDrops": {"reason": "queue"},
}
"""What an alert has besides the labels of its rule."""


def _bare(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without its texts, which promtool would compare word by word."""
    return {key: value for key, value in rule.items() if key != "annotations"}


def _expected(name: str, alerts: list[dict[str, Any]], firing: list[str]) -> list[dict[str, Any]]:
    """The alerts called *name* that should fire, as promtool wants them: by their labels."""
    found = [rule for rule in alerts if rule["alert"] == name and _called(rule) in firing]
    return [{"exp_labels": {**rule["labels"], **SERIES_LABELS.get(name, {})}} for rule in found]


def _called(rule: dict[str, Any]) -> str:
    return f"{rule['alert']} {rule['labels'].get('window', '')}".strip()


def test_prometheus_reads_every_rule(helm: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules(helm)), encoding="utf-8")
    command = [str(PROMTOOL), "check", "rules", "rules.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "10 rules found" in done.stdout, done.stdout + done.stderr
