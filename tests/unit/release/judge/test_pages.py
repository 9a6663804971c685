"""The page docs/judge.md says what the benchmark measured."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PAGE, MEASURED = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("docs/judge.md", "benchmarks/judge/README.md")
)


def rows_of(text: str, title: str) -> list[list[str]]:
    """Cells of the first table after *title*, without its head."""
    lines = text.split(title, 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = lines[start:]
    end = next((number for number, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:end]]


def rounded(cell: str) -> str:
    """A share as the page has it: whole percents from 10 on."""
    share, _, rest = cell.partition(" ")
    value = float(share)
    return f"{value:.0f} {rest}".strip() if value >= 10 else f"{value:.1f} {rest}".strip()


CELLS = {
    f"{row[0]}, {row[1].replace('.0', '')}, {row[2]}": row for row in rows_of(MEASURED, "## Failed requests")
}


@pytest.mark.parametrize("row", rows_of(PAGE, "At one weight, 60 looks"), ids=lambda row: row[0])
def test_errors_by_traffic_are_as_measured(row):
    measured = CELLS[row[0]]
    strict, edge_abort, edge_promote, equal, twice, four = (measured[place] for place in (3, 5, 6, 7, 8, 9))
    assert row[1:3] == [strict, f"{edge_abort} / {edge_promote}"]
    assert row[3] == rounded(equal)
    assert row[4] == ("inside the margin" if twice == "m" else rounded(twice))
    assert row[5] == rounded(four)


def test_other_methods_are_as_measured():
    measured = [[row[1], row[2], row[3], row[8]] for row in rows_of(MEASURED, "## Other methods")]
    told = [row[1:] for row in rows_of(PAGE, "Other methods on the same streams")]
    shares = [[cells[0].split(" ")[0], *cells[1:3], cells[3].split(" ")[0]] for cells in measured]
    assert told == [[rounded(cell) for cell in cells] for cells in shares]


def test_slow_answers_with_noise_of_their_own_are_as_measured():
    measured = {
        row[0].split("; ")[1]: row
        for row in rows_of(MEASURED, "**Slow answers, with noise")
        if row[0].startswith("100, 50 %")
    }
    told = {row[0]: row for row in rows_of(PAGE, "Slow answers are the guard")}
    for noise, row in measured.items():
        edge = " / ".join(rounded(cell) for cell in (row[4], row[5]))
        assert told[noise][1:] == [rounded(row[2]), row[3], edge, rounded(row[7])]


def test_no_bar_was_missed_in_the_run_that_is_shown():
    bars = rows_of(MEASURED, "## Bars")
    assert len(bars) > 40
    assert [row[0] for row in bars if row[3] != "holds"] == []
