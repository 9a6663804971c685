"""Customers of a web shop, one row each, drawn from five kinds of customer that overlap.

The kinds are not written down: finding them is the task. Values have the long tails of money and time, and
the table has some dirt: duplicates, missing values, shares above one, a negative turnover.

The same arguments give the same bytes, in any process.

    python generate.py --out data --rows 4000 --seed 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

DAYS = 1460
"""Four years of records: no tenure is longer."""


@dataclass(frozen=True)
class Kind:
    """One kind of customer: its share and the middle of each figure."""

    share: float
    recency_days: float
    orders_per_year: float
    basket_eur: float
    tenure_days: float
    returned_share: float
    reduced_share: float
    """Share of what they buy at a reduced price."""


KINDS = (
    Kind(0.24, 15, 16.0, 70, 1000, 0.05, 0.12),  # regulars
    Kind(0.24, 70, 3.0, 60, 420, 0.05, 0.20),    # now and then
    Kind(0.18, 25, 9.0, 120, 600, 0.50, 0.25),   # try on and send back
    Kind(0.20, 500, 1.5, 45, 900, 0.08, 0.35),   # gone
    Kind(0.14, 40, 6.0, 28, 380, 0.10, 0.85),    # bargain hunters
)  # fmt: skip


def draw_customers(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Clean rows. Money and times are log-normal around the middle of the customer's kind, shares beta."""
    kind = rng.choice(len(KINDS), size=rows, p=[kind.share for kind in KINDS])

    def middle(name: str) -> np.ndarray:
        return np.array([getattr(each, name) for each in KINDS])[kind]

    def shares(name: str) -> np.ndarray:
        return rng.beta(12 * middle(name), 12 * (1 - middle(name))).round(3)

    recency = middle("recency_days") * rng.lognormal(0, 0.36, rows)
    tenure = np.minimum(middle("tenure_days") * rng.lognormal(0, 0.28, rows), DAYS)
    orders = np.maximum(1, np.round(middle("orders_per_year") * rng.lognormal(0, 0.24, rows) * tenure / 365))
    basket = middle("basket_eur") * rng.lognormal(0, 0.24, rows)
    return pd.DataFrame({
        "customer_id": [f"k{number:06d}" for number in range(rows)],
        "recency_days": np.minimum(recency, tenure).round().astype(int),
        "orders": orders.astype(int),
        "turnover_eur": (orders * basket).round(2),
        "mean_basket_eur": basket.round(2),
        "tenure_days": tenure.round().astype(int),
        "returned_share": shares("returned_share"),
        "reduced_share": shares("reduced_share"),
    })  # fmt: skip


def add_dirt(rng: np.random.Generator, customers: pd.DataFrame) -> pd.DataFrame:
    """Missing shares (allowed), impossible figures (for quarantine) and rows that come twice."""
    dirty = customers.copy()
    for column, share, value in (
        ("returned_share", 0.02, np.nan),
        ("reduced_share", 0.01, np.nan),
        ("returned_share", 0.002, 1.7),
        ("turnover_eur", 0.002, -1.0),
    ):
        dirty.loc[rng.choice(len(dirty), size=round(share * len(dirty)), replace=False), column] = value
    again = dirty.sample(frac=0.01, random_state=int(rng.integers(2**31)))
    return pd.concat([dirty, again]).sort_index(kind="stable")


def generate(rows: int, seed: int) -> pd.DataFrame:
    """The table: *rows* customers, and one in a hundred of them twice."""
    rng = np.random.default_rng(seed)
    return add_dirt(rng, draw_customers(rng, rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, generate, write, say what was written."""
    parser = argparse.ArgumentParser(description="Generate a table of a web shop's customers.")
    option = parser.add_argument
    option("--out", type=Path, default=Path("data"), help="folder to write customers.csv to (default: data)")
    option("--rows", type=int, default=4000, help="customers (default: 4000)")
    option("--seed", type=int, default=3, help="the same seed gives the same file (default: 3)")
    asked = parser.parse_args(arguments)
    table = generate(asked.rows, asked.seed)
    asked.out.mkdir(parents=True, exist_ok=True)
    partial = asked.out / ".customers.csv.partial"
    table.to_csv(partial, index=False, lineterminator="\n")
    partial.replace(asked.out / "customers.csv")
    print(f"{len(table):,} rows in {asked.out / 'customers.csv'}")


if __name__ == "__main__":
    main()
