"""Small real projects on disk, for tests that run the whole flow."""

from collections.abc import Mapping
from pathlib import Path

CLASSIFICATION = """
apiVersion: fairlead/v1
name: tumour
problem:
  statement: Tell malignant from benign
  owner: clinic
  value: {{currency: EUR, true_positive: 100, false_positive: -10, false_negative: -200, true_negative: 0}}
data:
  source: {{kind: csv, uri: rows.csv}}
  target: malignant
  contract: contract.yaml
model:
  task: classification
  candidates: [{candidate}]
  search: {{method: random, trials: 2, folds: 2, workers: {workers}}}
  gates:
{gates}
"""

SIZES = ("fine", "medium", "coarse", "mixed")

GATES = """\
    - {metric: roc_auc, at_least: 0.9, better_than: baseline, by: 0.1}
    - {metric: value_per_1000, at_least: 0}
    - {metric: roc_auc, not_worse_than: champion, margin: 0.02}
"""


def write_tumour_project(
    root: Path,
    *,
    candidate: str = "logistic",
    workers: int = 1,
    gates: str = GATES,
    change: Mapping[int, float] | None = None,
    with_category: bool = False,
) -> Path:
    """The breast cancer data of scikit-learn as a CSV file with a contract and a project file.

    Args:
        root: Folder to write.
        candidate: The candidate to train.
        workers: Search workers.
        gates: The gates, as YAML.
        change: Row number to a new value of the first feature.
        with_category: Add a category column.
    """
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    frame = data.data.iloc[:, :6].copy()  # names with spaces, on purpose
    for row, value in (change or {}).items():
        frame.iloc[row, 0] = value
    numbers = list(frame.columns)
    if with_category:
        frame["texture"] = [SIZES[int(value) % len(SIZES)] for value in frame["mean texture"]]
    frame["malignant"] = ["true" if target == 0 else "false" for target in data.target]
    root.mkdir(parents=True, exist_ok=True)
    frame.to_csv(root / "rows.csv", index=False)
    columns = "\n".join(f"  {name}: {{type: number, minimum: 0}}" for name in numbers)
    if with_category:
        columns += f"\n  texture: {{type: category, values: [{', '.join(SIZES)}]}}"
    (root / "contract.yaml").write_text(
        f"apiVersion: fairlead.contract/v1\ncolumns:\n{columns}\n  malignant: {{type: boolean}}\n"
    )
    (root / "fairlead.yaml").write_text(
        CLASSIFICATION.format(candidate=candidate, workers=workers, gates=gates)
    )
    return root
