"""What the log's tables need of the place they are in."""

from __future__ import annotations

from typing import Any, Protocol


class Target(Protocol):
    """Files with names like ``predictions/date=2026-11-22/hour=06/4f….parquet``, each there whole or not at all."""

    def names(self, below: str = "") -> list[str]:
        """Names of all files below a folder, sorted; empty where there is no such folder."""

    def open(self, name: str) -> Any:
        """The file as pyarrow reads it, to be closed. Raises NotFound."""

    def write(self, name: str, content: Any) -> None:
        """Put a file there, or another one in its place, at once. *content* is bytes or a pyarrow buffer."""

    def delete(self, name: str) -> None:
        """Remove a file; it need not be there."""
