"""What of a request's rows may be kept: the rules of the bundle, applied. Pure.

A field is kept as it came, hashed, or dropped; without a rule it is dropped, and without any rules all are. A
hash is a keyed BLAKE2b of 128 bits (RFC 7693, section 2.9: a key makes it a message authentication code): who
does not have the salt cannot try out values, and who has it finds equal values of one field, which is what
counting, joining and deleting need. Each field has a key of its own, derived from the salt, so that equal values
of two fields do not show.

The salt is the content of the file ``FAIRLEAD_LOG_SALT_FILE``, at least 16 bytes, the same for all pods. Where it
is not set nothing can be hashed: such a field is dropped, and :attr:`Privacy.notes` says so.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from fairlead.errors import ProjectError
from fairlead.serve.rules import LogRules

SALT_BYTES = 16
"""The least: 128 bits, which cannot be tried out."""
_DIGEST_BYTES = 16
_SUBJECT = "subject of deletion"
_CALLER = "caller"


class Hasher:
    """The hash of a field's values under one salt.

    >>> salted = Hasher(b"0123456789abcdef", "customer")
    >>> salted("4711")
    '6f30a9fdfb987cb83768982cf62d6947'
    >>> salted(4711) == salted(4711.0) == salted("4711"), salted("4712") == salted("4711")
    (True, False)
    """

    def __init__(self, salt: bytes, field: str) -> None:
        """Derive the key of *field* from *salt*, which has any length."""
        root = blake2b(salt, person=b"fairlead log").digest()
        self._start = blake2b(key=blake2b(field.encode(), key=root).digest(), digest_size=_DIGEST_BYTES)

    def __call__(self, value: Any) -> str:
        """32 hexadecimal digits. A number and its text have the same, so that a person can type either."""
        state = self._start.copy()
        state.update((value if type(value) is str else text_of(value)).encode("utf-8", "surrogatepass"))
        return state.hexdigest()


def text_of(value: Any) -> str:
    """A JSON value as the text that is hashed.

    >>> [text_of(value) for value in ("a", True, 7, 7.0, 0.5, [1, 2.0])]
    ['a', 'true', '7', '7', '0.5', '[1,2.0]']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True, default=str)


def subject_hasher(salt: bytes) -> Hasher:
    """The hash under which a person's rows are found again, whatever the subject's field is called."""
    return Hasher(salt, _SUBJECT)


def checked_salt(content: bytes, named: str) -> bytes:
    """The salt in a file's *content*, without white space around it.

    Raises:
        ProjectError: It is too short to be a secret; *named* says which file it is.
    """
    salt = content.strip()
    if len(salt) < SALT_BYTES:
        raise ProjectError(
            f"{named} holds {len(salt)} bytes, but a salt has at least {SALT_BYTES}",
            hint="Make one: head -c 32 /dev/urandom | base64",
        )
    return salt


class Privacy:
    """Turns request rows into what the log may hold of them. Used from one thread.

    >>> rules = LogRules(inputs={"amount": "keep", "card": "hash", "name": "drop"}, subject="card")
    >>> Privacy(rules, None).inputs({"amount": 5.0, "card": "1234", "name": "Eve"})
    {'amount': 5.0}
    >>> Privacy(rules, None).notes
    ('card is to be hashed, but there is no salt: it is dropped', 'there is no salt: rows cannot be deleted by card')
    """

    def __init__(self, rules: LogRules, salt: bytes | None) -> None:
        """Apply *rules* with *salt*, None where there is none."""
        named = rules.inputs or {}
        self.logs_inputs = rules.inputs is not None
        self.kept = tuple(name for name, keeping in named.items() if keeping == "keep")
        to_hash = tuple(name for name, keeping in named.items() if keeping == "hash")
        self._hashed = tuple((name, Hasher(salt, name)) for name in to_hash) if salt else ()
        self._layout: tuple[str, ...] = ()
        self._here: tuple[str, ...] = ()
        self._hashed_here: tuple[tuple[str, Hasher], ...] = ()
        self._subject = rules.subject if salt else ""
        self._subject_hash = subject_hasher(salt) if salt and rules.subject else None
        self._caller_hash = Hasher(salt, _CALLER) if salt else None
        self.notes = _notes(rules, () if salt else to_hash, bool(salt))
        """What of the rules cannot be done, for the log at the start."""

    def keeps_all(self, fields: Collection[str]) -> bool:
        """Whether rows of these *fields* may be kept whole, and nothing has to be added to find them again."""
        return bool(fields) and self._subject_hash is None and set(fields) <= set(self.kept)

    def inputs(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of *row* that may be kept, as they may be kept. A missing value stays missing."""
        layout = tuple(row)
        if layout != self._layout:  # rarely: a client sends the same fields in the same order
            self._layout = layout
            self._here = tuple(name for name in self.kept if name in row)
            self._hashed_here = tuple((name, hasher) for name, hasher in self._hashed if name in row)
        if len(self._here) == len(layout) and type(row) is dict:
            return row  # all of it: no copy
        found = {name: row[name] for name in self._here}
        for name, hasher in self._hashed_here:
            value = row[name]
            found[name] = None if value is None else hasher(value)
        return found

    def rows(self, rows: Sequence[Mapping[str, Any]], answers: Sequence[Any]) -> list[dict[str, Any]]:
        """One record a row: ``subject`` and ``inputs`` as far as the rules let, and ``answer``."""
        if not self.logs_inputs and self._subject_hash is None:
            return [{"answer": answer} for answer in answers]
        return [self._row(row, answer) for row, answer in zip(rows, answers, strict=True)]

    def _row(self, row: Mapping[str, Any], answer: Any) -> dict[str, Any]:
        record: dict[str, Any] = {}
        if self._subject_hash is not None and (subject := row.get(self._subject)) is not None:
            record["subject"] = self._subject_hash(subject)
        if self.logs_inputs:
            record["inputs"] = self.inputs(row)
        record["answer"] = answer
        return record

    def caller(self, name: str) -> str | None:
        """The hash of a caller's name, which may be a person's; None without a salt."""
        return None if self._caller_hash is None else self._caller_hash(name)


def _notes(rules: LogRules, unhashed: tuple[str, ...], salted: bool) -> tuple[str, ...]:
    notes = []
    if rules.inputs is None:
        notes.append("inputs are not logged: serve.log.inputs of the project file says nothing about them")
    notes += [f"{name} is to be hashed, but there is no salt: it is dropped" for name in unhashed]
    if rules.subject and not salted:
        notes.append(f"there is no salt: rows cannot be deleted by {rules.subject}")
    return tuple(notes)
