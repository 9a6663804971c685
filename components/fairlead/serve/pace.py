"""So many a second: what the shadow may copy and the log may keep."""

from __future__ import annotations


class Pace:
    """A bucket that holds what one second brings, at least one, and fills evenly.

    >>> pace = Pace(2.0)
    >>> [pace.allows(now) for now in (0.0, 0.0, 0.0, 0.5, 0.5)]
    [True, True, False, True, False]
    """

    def __init__(self, rate: float) -> None:
        """Allow *rate* a second; 0 for no bound."""
        self._rate = rate
        self._most = max(1.0, rate)
        self._left = self._most
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Whether there may be one more at *now* (seconds of any clock); it is then counted."""
        if not self._rate:
            return True
        if now > self._at:
            self._left = min(self._most, self._left + (now - self._at) * self._rate)
            self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
