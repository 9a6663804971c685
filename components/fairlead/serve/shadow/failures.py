"""What went wrong with a copy."""

from __future__ import annotations


class Failed(Exception):
    """A call that brought no answer to compare, by its reason."""

    def __init__(self, reason: str, status: int = 0) -> None:
        """``reason`` is one of size, timeout, error and status; ``status`` that of a complete answer."""
        super().__init__(reason)
        self.reason = reason
        self.status = status

    @property
    def says_overload(self) -> bool:
        """Whether calling less may help the other server. An answer of status 422 came in good time."""
        return self.reason in ("timeout", "error") or self.status == 429 or self.status >= 500
