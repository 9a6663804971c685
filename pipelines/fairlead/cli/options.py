"""Options that several verbs share, declared once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairlead.adapters.registry import MlflowRegistry
    from fairlead.adapters.settings import Settings
    from fairlead.adapters.store import FolderStore
    from fairlead.spec import Contract, Project

ProjectFolder = Annotated[
    Path,
    typer.Option(
        "--project",
        "-C",
        envvar="FAIRLEAD_PROJECT",
        help="Folder with fairlead.yaml.",
        show_default="this folder",
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A project folder on this machine, and what fairlead keeps in it."""

    root: Path

    @property
    def state(self) -> Path:
        """MLflow's database, snapshots, bundles and runs of this project."""
        return self.root / ".fairlead"

    def settings(self) -> Settings:
        """Where things are: the environment first, then the state folder."""
        from fairlead.adapters.settings import Settings

        return Settings.from_environment(os.environ, self.state)

    def project(self) -> Project:
        """The project file, checked."""
        from fairlead.spec import load_project

        return load_project(self.root / "fairlead.yaml")

    def contract(self, project: Project) -> Contract:
        """The data contract, checked."""
        from fairlead.spec import load_contract

        return load_contract(self.root / project.data.contract)

    def store(self) -> FolderStore:
        """Snapshots, archives and bundles."""
        from fairlead.adapters.store import FolderStore

        return FolderStore(self.settings().store)

    def registry(self) -> MlflowRegistry:
        """Registered models. Importing MLflow takes seconds."""
        from fairlead.adapters.registry import MlflowRegistry
        from fairlead.adapters.tracking import check_reachable

        settings = self.settings()
        check_reachable(settings.tracking_uri)
        self.state.mkdir(parents=True, exist_ok=True)
        return MlflowRegistry(settings)


def place_of(folder: Path) -> Place:
    """The project in *folder*.

    Raises:
        ProjectError: There is no project file.
    """
    from fairlead.errors import ProjectError

    root = folder.resolve()
    if not (root / "fairlead.yaml").is_file():
        raise ProjectError(
            f"no fairlead.yaml in {root}",
            hint="Go to a project's folder, name one with -C, or start one: `fairlead init`.",
        )
    return Place(root)
