"""``fairlead init``: start a project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.show import say

NAME = "init"
EXAMPLES = (
    "Examples:  fairlead init churn   |   fairlead init myfraud --example fraud   |   fairlead init --list"
)

_TEMPLATE = """\
# yaml-language-server: $schema={schema}
apiVersion: fairlead/v1
name: {name}

problem:
  statement: One sentence a customer would understand
  owner: team@example.org
  # Money per outcome: it chooses the decision threshold and makes value_per_1000 measurable.
  value: {{currency: EUR, true_positive: 10, false_positive: -1, false_negative: -10, true_negative: 0}}

data:
  source: {{kind: csv, uri: data.csv}}   # csv, parquet, jsonl, sql, texts, images
  target: label                        # the column to predict
  # time: at                           # when an example happened: the split then has no future in training
  # group: customer_id                 # a customer is then never on both sides of the split
  contract: contract.yaml              # `fairlead data infer` writes a first one

model:
  task: classification                 # regression, forecast, clustering
  candidates: [logistic, hist_gradient_boosting]   # `fairlead check --candidates` lists them
  search: {{method: random, trials: 8, folds: 3}}
  gates:
    - {{metric: roc_auc, at_least: 0.7, better_than: baseline, by: 0.05}}
    - {{metric: roc_auc, not_worse_than: champion, margin: 0.01}}
"""


def command(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")] = Path(),
    example: Annotated[str | None, typer.Option(help="Start from an example project.")] = None,
    list_examples: Annotated[bool, typer.Option("--list", help="List the examples and stop.")] = False,
) -> None:
    """Start a project: a commented project file, or a whole example."""
    from fairlead.cli.examples import copy_example, example_names

    if list_examples:
        say("\n".join(example_names()))
        return
    target = folder.resolve()
    if example is not None:
        copy_example(example, target)
        say(f"wrote the example {example} to {target}; its README.md says what to do next")
        return
    write_template(target)
    say(f"wrote {target / 'fairlead.yaml'}\nnext: edit it, then `fairlead data infer` and `fairlead check`")


def write_template(folder: Path) -> None:
    """Write a first project file, and the JSON schema that editors complete from, into *folder*.

    Raises:
        ProjectError: There is a project file already.
    """
    from fairlead.errors import ProjectError
    from fairlead.spec.jsonschema import SCHEMA_FILES, schema_text

    target = folder / "fairlead.yaml"
    if target.exists():
        raise ProjectError(f"{target} exists already", hint="Name another folder.")
    schema_folder = folder / ".fairlead"
    schema_folder.mkdir(parents=True, exist_ok=True)
    for name in SCHEMA_FILES:
        (schema_folder / name).write_text(schema_text(name), encoding="utf-8")
    name = re.sub(r"[^a-z0-9-]+", "-", folder.name.lower()).strip("-0123456789")[:40].strip("-") or "project"
    target.write_text(_TEMPLATE.format(name=name, schema=".fairlead/project.schema.json"), encoding="utf-8")
