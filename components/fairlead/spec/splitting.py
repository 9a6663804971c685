"""How the rows of a project are divided, with ``auto`` resolved. Folds of a search respect the same rule."""

from __future__ import annotations

from typing import Literal

from fairlead.spec.project import Project

SplitMethod = Literal["random", "stratified", "group", "time"]


def split_method(project: Project) -> SplitMethod:
    """By time if there is one, else by group, else stratified for classes, else random; a forecast always by time."""
    data, task = project.data, project.model.task
    if task == "forecast":
        return "time"
    if data.split.method != "auto":
        return data.split.method
    if data.time is not None:
        return "time"
    if data.group is not None:
        return "group"
    return "stratified" if task == "classification" else "random"
