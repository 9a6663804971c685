"""Every generated file of the charts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tools.charts.common import Values
from tools.charts.model import ModelValues
from tools.charts.platform import PlatformValues
from tools.charts.render import readme, schema_json, values_yaml

CHARTS: dict[str, type[Values]] = {"fairlead-model": ModelValues, "fairlead-platform": PlatformValues}
"""The values of each chart in helm/."""


def chart_files(helm: Path) -> Iterator[tuple[Path, str]]:
    """Each generated file of the charts in the folder *helm*, and what it should hold."""
    common = (helm / "common/_common.tpl").read_text(encoding="utf-8")
    for name, values in CHARTS.items():
        chart = helm / name
        present = (chart / "README.md").read_text(encoding="utf-8")
        yield chart / "values.yaml", values_yaml(values, f"Values of the chart {name}.")
        yield chart / "values.schema.json", schema_json(values)
        yield chart / "README.md", readme(present, values)
        yield chart / "templates/_common.tpl", common
