"""Options that several verbs share, declared once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fairlead.adapters.objects import S3Store
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

    def store(self) -> FolderStore | S3Store:
        """Snapshots, archives and bundles."""
        from fairlead.adapters.store import open_store

        return open_store(self.settings().store)

    def bundle(self, digest: str, uri: str = "") -> Path:
        """A folder with the bundle *digest*: from the store, else from where *uri* says it was kept, by way of a cache.

        Raises:
            NotFound: Neither has it.
        """
        from fairlead.adapters.store import holder

        return holder(self.store(), "bundles", digest, uri).local("bundles", digest, self.state / "cache")

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
