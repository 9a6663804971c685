"""Run the data stage on the project in a folder and print the digest: run_stage.py ROOT OUT SECONDS."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead.adapters.sources import open_source
from fairlead.adapters.store import FolderStore
from fairlead.data import stage
from fairlead.records import Workspace
from fairlead.spec import Project, parse_contract


class Silent:
    """A tracker and a progress that say nothing; the progress can take its time."""

    run_id = "child"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @contextmanager
    def bar(self, text: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda steps: time.sleep(self.seconds)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_named: None


def main(root: Path, out: Path, seconds: float) -> None:
    project = Project.model_validate_json((root / "project.json").read_bytes())
    contract = parse_contract((root / "contract.json").read_text())
    silent: Any = Silent(seconds)
    workspace = Workspace(root, project, contract, "", root)
    source = open_source(project.data.source, root)
    made = stage.run(
        workspace, source, FolderStore(out / "store"), silent, silent, out / "dataset", out / "page.html"
    )
    print(made.digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
