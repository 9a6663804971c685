"""What a line of the prediction log holds.

========================  =========================================================================
of every record           ``kind``, ``pod``, ``epoch``, ``seq``, ``at``, ``slot``, ``bundle``
``prediction``            ``id``, ``route``, ``seconds``, ``rows``: a list of ``{subject?, inputs?, answer}``;
                          ``trace`` where it belongs to one; ``caller`` hashed, where callers are told apart and there
                          is a salt
``feedback``              ``id``, ``row``, ``label``, ``at`` (when the label became known), ``received``
``pair``                  as :func:`fairlead.serve.shadow.pairs.pair_record` says
``worker``                ``event``: ``begin`` (``seq`` 0), ``end`` or ``killed`` (``seq`` is the last given out)
========================  =========================================================================

Where the rules keep every field as it came, ``asked`` is the request's body, and the rows have no ``inputs``: to copy a
body costs a hundredth of writing its numbers again. Readers put the two together (:mod:`fairlead.monitor.segments`).

Times are Unix times in seconds; an answer is the row of :mod:`fairlead.schema.answers`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from fairlead.serve.http import Header, Scored
from fairlead.serve.log.privacy import Privacy
from fairlead.serve.tracing.context import trace_id

_YEAR_10000 = 253_402_300_800


class Recorder:
    """Makes the records of one worker."""

    def __init__(self, who: Mapping[str, str], privacy: Privacy, *, whole: bool = False) -> None:
        """*who* has ``pod``, ``epoch``, ``slot`` and ``bundle``; *whole*: every field may be kept as it came."""
        self._pod, self._epoch = who["pod"], who["epoch"]
        self._slot, self._bundle = who["slot"], who["bundle"]
        self._privacy = privacy
        self._whole = whole

    def copies(self, scored: Scored) -> bool:
        """Whether the record has the body instead of each row; a line break in it would end the line early."""
        return self._whole and bool(scored.body) and b"\n" not in scored.body

    def prediction(
        self,
        number: int,
        at: float,
        identity: str,
        route: str,
        caller: str,
        scored: Scored,
        seconds: float,
        headers: Iterable[Header] = (),
    ) -> dict[str, Any]:
        """A scored request."""
        record = {
            "kind": "prediction", "id": identity, "pod": self._pod, "epoch": self._epoch, "seq": number, "at": at,
            "slot": self._slot, "bundle": self._bundle, "route": route, "seconds": seconds,
        }  # fmt: skip
        answers = scored.answers.tolist()
        if self.copies(scored):
            record["rows"] = [{"answer": answer} for answer in answers]
            record["asked"] = orjson.Fragment(scored.body)
        else:
            record["rows"] = self._privacy.rows(scored.rows, answers)
        if trace := trace_id(headers):
            record["trace"] = trace
        if caller and (hashed := self._privacy.caller(caller)):
            record["caller"] = hashed
        return record

    def feedback(self, number: int, received: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """A label; without a time of its own it became known when it came."""
        known, row = seconds_of(given.get("at")), int(given.get("row", 0))
        if not 0 <= row < 2**31:
            raise ValueError(f"no request has a row {row}")
        return {
            **self._who("feedback", number), "id": str(given["id"]), "row": row, "label": given["label"],
            "at": received if known is None else known, "received": received,
        }  # fmt: skip

    def pair(self, number: int, received: float, given: Mapping[str, Any]) -> dict[str, Any]:
        """Two answers to one request."""
        return {"at": received, **given, **self._who("pair", number)}

    def _who(self, kind: str, number: int) -> dict[str, Any]:
        return {
            "kind": kind, "pod": self._pod, "epoch": self._epoch, "seq": number,
            "slot": self._slot, "bundle": self._bundle,
        }  # fmt: skip


def seconds_of(at: Any) -> float | None:
    """Unix time of ISO 8601 (without a zone: UTC) or of a number, from 1970 to 9999; None for anything else.

    >>> seconds_of("2026-11-22T06:12:51Z"), seconds_of("2026-11-22T06:12:51"), seconds_of(12), seconds_of("soon")
    (1795327971.0, 1795327971.0, 12.0, None)
    """
    if isinstance(at, str):
        try:
            time = datetime.fromisoformat(at)
            at = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    known = isinstance(at, (int, float)) and not isinstance(at, bool) and 0 <= at < _YEAR_10000
    return float(at) if known else None
