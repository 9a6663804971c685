"""A small shop's invoices, one CSV file a day, with columns and dirt as in the public *Online Retail* data.

Each line sells some units of a product. The shop is closed on Saturdays. As in the real files there are
returns (negative quantities on invoices that begin with C), stock corrections without price or description,
lines that are no product (postage), codes in both cases, lines without a customer, exact duplicates, and one
huge order that is cancelled at once. Demand has a weekly rhythm, a slow trend and comes in packs, so that it
can be learnt, but not exactly.

The set in ``invoices`` was made by ``python generate.py`` and is here so that the example runs as it stands.
The same arguments give the same bytes, in any process.

    python generate.py --out invoices --rows 6000 --seed 5
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
FIRST_DAY = date(2023, 1, 2)
DAYS = 210
CLOSED_WEEKDAY = 5
HOLIDAYS = (date(2023, 4, 7), date(2023, 4, 9), date(2023, 4, 10), date(2023, 5, 1))
PRODUCTS = (
    # code, description, price in GBP, busiest weekday (Monday is 0), change of demand over the whole time
    ("20711", "ENAMEL JUG BLUE", 4.25, 0, 1.4), ("20718B", "ENAMEL JUG RED", 4.25, 0, 0.8),
    ("21034", "WOODEN SPOON SET", 1.65, 3, 1.0), ("21212", "PAPER LANTERN", 0.85, 6, 1.8),
    ("22086", "TIN OF BUTTONS", 2.55, 1, 0.6), ("22423A", "CAKE STAND TWO TIERS", 10.95, 6, 1.2),
    ("22720", "BREAD BIN CREAM", 8.50, 2, 1.0), ("23084", "NIGHT LIGHT RABBIT", 1.79, 3, 2.2),
    ("84946", "CANDLE HOLDER GLASS", 1.25, 1, 0.9), ("85099F", "SHOPPING BAG DOTS", 1.95, 4, 1.1),
)  # fmt: skip
PACKS = np.array([1, 2, 3, 6, 12, 24])
PACK_SHARE = np.array([0.22, 0.2, 0.12, 0.24, 0.16, 0.06])
COUNTRIES = ("United Kingdom", "Germany", "France", "EIRE", "Netherlands")
COUNTRY_SHARE = (0.86, 0.05, 0.04, 0.03, 0.02)
NO_CUSTOMER_SHARE = 0.25


@dataclass(frozen=True)
class Line:
    """One line of an invoice."""

    invoice: str
    code: str
    description: str
    quantity: int
    at: datetime
    price: float
    customer: str
    country: str

    def row(self) -> tuple[str, ...]:
        """The texts of :data:`COLUMNS`; customers are written as the real files have them, ``17850.0``."""
        return (
            self.invoice, self.code, self.description, str(self.quantity), self.at.isoformat(sep=" "),
            f"{self.price:g}", self.customer, self.country,
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------- demand


def open_days() -> list[date]:
    """The days on which the shop writes invoices."""
    days = (FIRST_DAY + timedelta(days=number) for number in range(DAYS))
    return [day for day in days if day.weekday() != CLOSED_WEEKDAY and day not in HOLIDAYS]


def expected_lines(day: date) -> np.ndarray:
    """Relative number of lines of each product on *day*: the weekly rhythm times the trend."""
    passed = (day - FIRST_DAY).days / DAYS
    return np.array([
        (1.0 + 1.2 * (day.weekday() == busiest)) * change**passed * (1.0 + 0.15 * position)
        for position, (_, _, _, busiest, change) in enumerate(PRODUCTS)
    ])  # fmt: skip


def sell(rng: np.random.Generator, rows: int) -> list[Line]:
    """Honest sales of about *rows* orders of a product, in invoices of one to six; the same product is one line."""
    days = open_days()
    share = np.array([expected_lines(day) for day in days])
    counts = rng.poisson(share * rows / share.sum())
    lines: list[Line] = []
    for day, of_products in zip(days, counts, strict=True):
        wanted = rng.permutation(np.repeat(np.arange(len(PRODUCTS)), of_products)).tolist()
        while wanted:
            size = int(rng.integers(1, 7))
            lines += _invoice(rng, 500_000 + len(lines), day, wanted[:size])
            wanted = wanted[size:]
    return sorted(lines, key=lambda line: (line.at, line.invoice))


def _invoice(rng: np.random.Generator, number: int, day: date, products: Sequence[int]) -> Iterator[Line]:
    at = datetime.combine(day, time(8)) + timedelta(minutes=int(rng.integers(600)))
    customer = "" if rng.random() < NO_CUSTOMER_SHARE else f"{rng.integers(12_400, 12_520)}.0"
    country = str(rng.choice(COUNTRIES, p=COUNTRY_SHARE))
    for product, orders in Counter(products).items():
        code, description, price, _, _ = PRODUCTS[product]
        quantity = int(rng.choice(PACKS, size=orders, p=PACK_SHARE).sum())
        yield Line(str(number), code, description, quantity, at, price, customer, country)


# --------------------------------------------------------------------------------------------------- dirt


def add_dirt(rng: np.random.Generator, lines: Sequence[Line]) -> list[Line]:
    """The sales with what is no demand among them, in order of time."""
    dirty = [_mistyped(line) if rng.random() < 0.01 else line for line in lines]
    for line in lines:
        chance = rng.random()
        if chance < 0.02:
            dirty.append(_returned(line, days=int(rng.integers(1, 10))))
        elif chance < 0.03:
            dirty.append(line)
        elif chance < 0.034:
            dirty.append(replace(line, description="", price=0.0, quantity=-line.quantity, customer=""))
        elif chance < 0.04:
            dirty.append(replace(line, code="POST", description="POSTAGE", price=18.0, quantity=1))
    dirty += _huge_order(lines[len(lines) // 3])
    return sorted(dirty, key=lambda line: (line.at, line.invoice))


def _mistyped(line: Line) -> Line:
    return replace(line, code=line.code.lower(), description=f" {line.description.title()} ")


def _returned(line: Line, days: int) -> Line:
    """The line taken back some days later, on the next day the shop is open, but not after the last day."""
    later = [day for day in open_days() if day >= line.at.date() + timedelta(days=days)]
    at = datetime.combine(later[0] if later else line.at.date(), time(18))
    return replace(line, invoice=f"C{line.invoice}", quantity=-line.quantity, at=at)


def _huge_order(line: Line) -> list[Line]:
    """Seventy thousand units by a slip of the finger, cancelled twelve minutes later."""
    order = replace(line, invoice="599998", quantity=70_000)
    return [order, replace(order, invoice="C599999", quantity=-70_000, at=order.at + timedelta(minutes=12))]


# ------------------------------------------------------------------------------------------------- writing


def generate(rows: int, seed: int) -> list[Line]:
    """All lines, dirt included, in order of time."""
    rng = np.random.default_rng(seed)
    return add_dirt(rng, sell(rng, rows))


@contextmanager
def whole_folder(out: Path, pattern: str) -> Iterator[Path]:
    """A folder to write into that becomes *out* only when all is written, in place of an earlier one.

    Refuses to replace a folder that holds anything but files of *pattern*: a wrong ``--out`` deletes nothing.
    """
    strangers = [found.name for found in sorted(out.glob("*")) if not found.match(pattern)]
    if strangers:
        raise SystemExit(f"{out} holds {strangers[0]}, which is none of {pattern}: choose another --out")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def write(lines: Sequence[Line], folder: Path) -> None:
    """One file a day, with a header each."""
    by_day: dict[date, list[Line]] = {}
    for line in lines:
        by_day.setdefault(line.at.date(), []).append(line)
    for day, of_day in sorted(by_day.items()):
        with (folder / f"{day.isoformat()}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(line.row() for line in of_day)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, generate, write, say what was written."""
    parser = argparse.ArgumentParser(description="Generate a small shop's invoices, one CSV file a day.")
    option = parser.add_argument
    option("--out", type=Path, default=Path("invoices"), help="folder to write (default: invoices)")
    option("--rows", type=int, default=6000, help="about as many orders (default: 6000); dirt comes on top")
    option("--seed", type=int, default=5, help="the same seed gives the same files (default: 5)")
    asked = parser.parse_args(arguments)
    lines = generate(asked.rows, asked.seed)
    with whole_folder(asked.out, "20[0-9][0-9]-[01][0-9]-[0-3][0-9].csv") as folder:
        write(lines, folder)
    print(f"{len(lines):,} invoice lines of {len({line.at.date() for line in lines})} days, in {asked.out}")


if __name__ == "__main__":
    main()
