"""``POST /feedback``: what turned out to be true, for a request that was answered before.

::

    {"id": "3f…-1a", "label": "yes"}
    {"feedback": [{"id": "3f…-1a", "row": 1, "label": "no", "at": "2026-03-01T12:00:00Z"}, …]}
    {"accepted": 2}

``id`` is the ``X-Request-ID`` of the prediction, ``row`` the position of the row in that request (0 if left out),
``label`` what the row turned out to be, in the model's own words: a class, a value, the number of a cluster.
``at`` is when that was known, in ISO 8601. Feedback may come late, twice and in any order: all of it is kept,
and the last for a row counts, so a request can be repeated without harm.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fairlead.schema import FieldError, Output
from fairlead.schema.validate import shown
from fairlead.serve.http import Answer, Limits, Refused, Request, json_answer, parse_json

Offer = Callable[[Mapping[str, Any]], bool]
"""Takes a record into the log, without waiting; False: it had no room, and the record is lost."""

KEYS = ("id", "label", "row", "at")
_REQUIRED = ("id", "label")
_IDENTITY = re.compile(r"[\x21-\x7e]{1,128}")


class Feedback:
    """Answers ``/feedback`` for one model."""

    def __init__(self, output: Output, offer: Offer | None, limits: Limits) -> None:
        """Check labels against *output* and hand records to *offer*, which is None where no log is kept."""
        self._offer = offer
        self._limits = limits
        self._checks: dict[str, Check] = {
            "id": _check_identity,
            "label": label_check(output),
            "row": lambda value: _check_row(value, limits.rows),
            "at": _check_moment,
        }

    def __call__(self, request: Request) -> Answer:
        """Keep the feedback of the body. Raises Refused, as :meth:`accept` does."""
        accepted = self.accept(_items_of(parse_json(request.body)))
        return json_answer({"accepted": accepted}, status=202)

    def accept(self, items: Sequence[Any]) -> int:
        """Check all of *items*, then keep them; how many were kept.

        Raises:
            Refused: 409 this deployment keeps no log; 413 too many; 422 nothing, or something that breaks a
                rule, and then nothing is kept; 503 the log had no room, and says how many it took.
        """
        if self._offer is None:
            raise Refused(
                409,
                "this deployment keeps no log of predictions, so feedback has nothing to join; "
                "a folder in FAIRLEAD_LOG_FOLDER switches it on",
            )
        records = self._checked(items)
        for position, record in enumerate(records):
            if not self._offer(record):
                raise Refused(
                    503,
                    f"the log has no room: {position} of {len(records)} were accepted; send the rest again",
                    headers=((b"retry-after", b"1"),),
                    accepted=position,
                )
        return len(records)

    def _checked(self, items: Sequence[Any]) -> list[dict[str, Any]]:
        if not items:
            raise Refused(422, "there is no feedback", errors=[])
        if len(items) > self._limits.rows:
            raise Refused(
                413, f"{len(items)} are more than {self._limits.rows}; send them in several requests"
            )
        records: list[dict[str, Any]] = []
        errors: list[FieldError] = []
        for position, item in enumerate(items):
            record, broken = self._check(position, item)
            records.append(record)
            errors += broken
            if len(errors) >= self._limits.errors:
                break
        if errors:
            raise _refusal(errors[: self._limits.errors])
        return records

    def _check(self, position: int, item: Any) -> tuple[dict[str, Any], list[FieldError]]:
        """One piece of feedback as a record, and what is wrong with it."""
        if not isinstance(item, Mapping):
            return {}, [FieldError(position, "", shown(item), "must be an object with id and label")]
        record: dict[str, Any] = {"row": 0}
        errors = [
            FieldError(position, name, "null", "is required") for name in _REQUIRED if item.get(name) is None
        ]
        for name, value in item.items():
            check = self._checks.get(name)
            if check is None:
                errors.append(FieldError(position, shown(name)[1:-1], shown(value), _no_such_key(name)))
            elif value is not None:
                record[name], broken = check(value)
                errors += [FieldError(position, name, shown(value), broken)] if broken else []
        return record, errors


def _items_of(document: Any) -> list[Any]:
    """The pieces of feedback of a body, which has one or a list of them."""
    if not isinstance(document, dict):
        raise Refused(
            422, 'the body must be an object: {"id": …, "label": …} or {"feedback": […]}', errors=[]
        )
    if "feedback" not in document:
        return [document]
    items = document["feedback"]
    if not isinstance(items, list) or len(document) > 1:
        raise Refused(422, "feedback must be a list, and the only key of the body", errors=[])
    return items


def _refusal(errors: Sequence[FieldError]) -> Refused:
    said = f"{len(errors)} values are" if len(errors) > 1 else "1 value is"
    return Refused(422, f"{said} wrong; nothing was kept", errors=[asdict(error) for error in errors])


def _no_such_key(name: str) -> str:
    """The rule an unknown key breaks.

    >>> _no_such_key("lable")
    'there is no such key; did you mean label?'
    """
    near = difflib.get_close_matches(name[:60], KEYS, n=1)
    return f"there is no such key; did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"


# ------------------------------------------------------------------------------------------------------ checks

Check = Callable[[Any], tuple[Any, str]]
"""A value to (what is kept, the rule it breaks or the empty string)."""


def label_check(output: Output) -> Check:
    """What a label may be: a class of the model, a finite number, or the number of a cluster.

    Classes are strings; ``true`` and whole numbers are taken for the class that is written so.

    >>> check = label_check(Output("classification", classes=("false", "true"), positive="true"))
    >>> check(True), check("True")
    (('true', ''), (None, 'must be one of false, true; did you mean true?'))
    """
    if output.task == "classification":
        return lambda value: _check_class(value, output.classes)
    if output.task == "clustering":
        return lambda value: _check_cluster(value, output.clusters)
    return _check_value


def _check_class(value: Any, classes: Sequence[str]) -> tuple[Any, str]:
    name = str(value).lower() if isinstance(value, bool) else str(value) if type(value) is int else value
    if not isinstance(name, str):
        return None, "must be a string"
    if name in classes:
        return name, ""
    listed = ", ".join(classes[:10]) + (" …" if len(classes) > 10 else "")
    near = difflib.get_close_matches(name[:60], classes, n=1)
    return None, f"must be one of {listed}" + (f"; did you mean {near[0]}?" if near else "")


def _check_cluster(value: Any, clusters: int) -> tuple[Any, str]:
    known = type(value) is int and 0 <= value < clusters
    return (value, "") if known else (None, f"must be the number of a cluster, 0 to {clusters - 1}")


def _check_value(value: Any) -> tuple[Any, str]:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return (
        (float(value), "")
        if is_number and abs(value) <= sys.float_info.max
        else (None, "must be a finite number")
    )


def _check_identity(value: Any) -> tuple[Any, str]:
    known = isinstance(value, str) and _IDENTITY.fullmatch(value) is not None
    return (value, "") if known else (None, "must be an X-Request-ID: 1 to 128 visible ASCII characters")


def _check_row(value: Any, rows: int) -> tuple[Any, str]:
    known = type(value) is int and 0 <= value < rows
    return (value, "") if known else (None, f"must be the position of a row, 0 to {rows - 1}")


def _check_moment(value: Any) -> tuple[Any, str]:
    """A moment in UTC; one without a zone is in UTC already."""
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None, "must be a date and time in ISO 8601"
    return moment.isoformat(), ""
