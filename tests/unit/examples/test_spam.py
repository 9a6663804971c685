from __future__ import annotations

import email
import email.policy
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def mails(spam: ModuleType) -> dict[str, bytes]:
    return dict(spam.generate(600, seed=11))


def test_about_a_third_is_spam(mails: dict[str, bytes]) -> None:
    assert sum(name.startswith("spam/") for name in mails) / len(mails) == pytest.approx(0.33, abs=0.05)


def test_all_forms_and_encodings_occur(mails: dict[str, bytes]) -> None:
    parts = [part for raw in mails.values() for part in email.message_from_bytes(raw).walk()]
    assert {part.get_content_type() for part in parts} >= {"text/plain", "text/html", "multipart/alternative"}
    assert {part.get("Content-Transfer-Encoding") for part in parts} >= {"base64", "quoted-printable"}
    assert {part.get_content_charset() for part in parts} >= {"utf-8", "utf-16", "x-no-such-charset"}


def test_every_fault_changes_a_mail(spam: ModuleType, mails: dict[str, bytes]) -> None:
    utf8 = next(raw for raw in mails.values() if b'charset="utf-8"' in raw)
    assert [fault.__name__ for fault in spam.FAULTS if fault(utf8) == utf8] == []


def test_faults_say_nothing_about_the_label(spam: ModuleType) -> None:
    many = dict(spam.generate(3000, seed=4))
    without_subject = {
        label: [b"\nSubject:" not in raw for name, raw in many.items() if name.startswith(label)]
        for label in ("ham", "spam")
    }
    shares = {label: sum(found) / len(found) for label, found in without_subject.items()}
    assert shares["ham"] == pytest.approx(shares["spam"], abs=0.02)


def test_no_slot_is_left_open(mails: dict[str, bytes]) -> None:
    subjects = [
        str(email.message_from_bytes(raw, policy=email.policy.default)["subject"]) for raw in mails.values()
    ]
    assert [subject for subject in subjects if "{" in subject] == []
