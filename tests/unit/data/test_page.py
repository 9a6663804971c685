from __future__ import annotations

import re

import pytest

from fairlead.data.page import page
from fairlead.data.report import Change, LeakCheck, Outliers, Reason, Report, SplitReport
from fairlead.stats.profile import Profile

REPORT = Report(
    source="csv <rows>",
    rows={"read": 100, "kept": 90, "quarantined": 6, "duplicates": 4, "incomplete": 0, "outliers": 0},
    changes=(Change("kind", "trimmed", "white space means nothing", 5, ((" a", "a"),)),),
    reasons=(Reason("amount", "must be at least 0", "refunds are apart", 6, ({"row": 12, "value": "-1"},)),),
    outliers=(Outliers("amount", -5.0, 20.0, 2, (99.0,), "flagged"),),
    split=SplitReport("time", "by time", {"train": 60, "valid": 15, "test": 15},
                      dict.fromkeys(("train", "valid", "test"), ("2020-01-01", "2020-01-02")),
                      {name: {"no": 10, "yes": 5} for name in ("train", "valid", "test")}),
    leaks=(LeakCheck("no row in two splits", "90 rows"),),
    dropped_columns=("more",),
    notes=("The feature x is constant.",),
)  # fmt: skip
PROFILE = Profile.of({
    "amount": ("number", [1.0, 2.5, None]),
    "count": ("integer", [1, 2, 3]),
    "note": ("text", ["a", "bb", "ccc"]),
    "kind": ("category", ["a", "a", "b"]),
    "at": ("datetime", ["2020-01-01", "2020-02-01", None]),
    "empty": ("number", [None, None, None]),
    "nothing": ("category", [None, None, None]),
    "never": ("datetime", [None, None, None]),
})  # fmt: skip


@pytest.fixture(scope="module")
def html() -> str:
    return page("small", "ab" * 32, REPORT, PROFILE)


@pytest.mark.parametrize(
    "text",
    [
        "csv &lt;rows&gt;", "abababababababab", "90 (90 %)", "refunds are apart", "row 12: -1", "“ a” → “a”", "-5 to 20",
        "no row in two splits", "The feature x is constant.", "5 (33.3 %)", "33.3 %", "2020-02-01 00:00:00", ">more<",
    ],
)  # fmt: skip
def test_the_page_says(html: str, text: str) -> None:
    assert text.replace(">more<", "left out: more.") in html


def test_every_column_is_on_the_page(html: str) -> None:
    assert all(f"<code>{name}</code>" in html for name in PROFILE.columns)


def test_histograms_are_drawn(html: str) -> None:
    assert html.count("<svg") == 5


def test_the_page_refers_to_nothing_outside(html: str) -> None:
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html)
    assert "<script" not in html


def test_a_report_survives_json() -> None:
    again = Report.from_json(REPORT.to_json())

    assert again.to_json() == REPORT.to_json()
    assert again.reasons[0].text == "amount must be at least 0 (refunds are apart)"
