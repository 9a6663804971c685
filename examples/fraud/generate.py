"""Card transactions with fraud in them: the data of this example, made from a seed.

A small world of customers, terminals and countries is drawn, then transactions, then three kinds of fraud
(large amounts, compromised terminals, stolen card data used online), then what a payment system would know at
the moment of each transaction (counts, means, shares over past windows), and last the dirt that real tables
have. The idea follows the simulator of the *Fraud Detection Handbook* (Le Borgne, Siblini, Lebichot and
Bontempi, 2022); the code and the world are our own.

The same arguments give the same bytes, in any process.

    python generate.py --out data --rows 200000 --seed 7
    python generate.py --out data --drift 60      # from day 60 on: higher prices and a new kind of fraud
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]

START = np.datetime64("2025-03-01T00:00:00", "s")
DAYS = 91
WARM_UP_DAYS = 35
"""Drawn before the first written day, so that the first rows already have a past. Not written."""
DAY = 86_400
LABEL_DELAY_DAYS = 7
"""A fraud is known this long after it happened: shares of fraud look no nearer than this."""
FRAUD_SHARE = 0.008
COUNTRIES = ("DE", "CZ", "AT", "HU")
"""Strips of the map from west to east; the map is 600 km wide and 300 km high."""
UTC_OFFSET_HOURS = 1
CATEGORIES = ("grocery", "fuel", "restaurant", "travel", "electronics", "cash", "digital", "fashion")
CATEGORY_SHARE = (0.30, 0.12, 0.18, 0.05, 0.07, 0.10, 0.08, 0.10)
CATEGORY_PRICE = (0.8, 1.1, 0.7, 3.0, 2.5, 1.8, 0.5, 1.3)
ONLINE_CATEGORIES = ("travel", "electronics", "digital", "fashion")
CHANNELS = ("contactless", "chip", "online", "atm")
CONTACTLESS, CHIP, ONLINE, ATM = range(4)
NEAREST = 40
"""A customer's usual terminals are among this many nearest ones."""


@dataclass(frozen=True)
class World:
    """Who pays and where."""

    home: Floats
    """(customers, 2) kilometres."""
    spend: Floats
    """(customers,) typical amount, EUR."""
    activity: Floats
    """(customers,) share of all transactions; sums to 1."""
    online_share: Floats
    place: Floats
    """(terminals, 2) kilometres."""
    category: Ints
    online: Bools
    """(terminals,) whether it is a web shop."""
    usual: Ints
    """(customers, NEAREST) physical terminals, nearest first."""


@dataclass
class Transactions:
    """One array a column, one entry a transaction. Fraud changes them in place before a table is made."""

    customer: Ints
    terminal: Ints
    second: Ints
    """Seconds after the first day of the warm-up, UTC."""
    amount: Floats
    distance: Floats
    fraud: Bools

    @property
    def day(self) -> Ints:
        """Days after the first written day; negative in the warm-up."""
        return self.second // DAY - WARM_UP_DAYS

    def in_time_order(self) -> Transactions:
        """The same transactions, earliest first; ties keep the order they were drawn in."""
        order = np.argsort(self.second, kind="stable")
        return Transactions(*(getattr(self, name)[order] for name in self.__dataclass_fields__))


# ---------------------------------------------------------------------------------------- the honest world


def draw_world(rng: np.random.Generator, rows: int) -> World:
    """A world with about 1.4 transactions a day for a customer and 1.8 for a terminal."""
    customers, terminals = max(60, rows // 125), max(80, rows // 160)
    home = rng.uniform((0, 0), (600, 300), size=(customers, 2))
    place = rng.uniform((0, 0), (600, 300), size=(terminals, 2))
    category = rng.choice(len(CATEGORIES), size=terminals, p=CATEGORY_SHARE)
    sells_online = np.isin(category, [CATEGORIES.index(name) for name in ONLINE_CATEGORIES])
    online = sells_online & (rng.random(terminals) < 0.6)
    activity = rng.gamma(3.0, size=customers)
    return World(
        home=home,
        spend=rng.lognormal(np.log(32), 0.45, size=customers),
        activity=activity / activity.sum(),
        online_share=rng.beta(2, 8, size=customers),
        place=place,
        category=category,
        online=online,
        usual=_nearest(home, place, np.flatnonzero(~online)),
    )


def _nearest(home: Floats, place: Floats, physical: Ints) -> Ints:
    distance = np.linalg.norm(home[:, None, :] - place[physical][None, :, :], axis=2)
    return physical[np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]]


def draw_transactions(rng: np.random.Generator, world: World, rows: int) -> Transactions:
    """*rows* honest transactions on the written days, and as many a day in the warm-up before them."""
    second = np.concatenate([
        _draw_seconds(rng, 0, WARM_UP_DAYS, round(rows * WARM_UP_DAYS / DAYS)),
        _draw_seconds(rng, WARM_UP_DAYS, WARM_UP_DAYS + DAYS, rows),
    ])  # fmt: skip
    rows = len(second)
    customer = rng.choice(len(world.home), size=rows, p=world.activity)
    terminal = _draw_terminals(rng, world, customer)
    price = np.array(CATEGORY_PRICE)[world.category[terminal]]
    return Transactions(
        customer=customer,
        terminal=terminal,
        second=second,
        amount=world.spend[customer] * price * rng.lognormal(0, 0.55, size=rows),
        distance=_distance(rng, world, customer, terminal),
        fraud=np.zeros(rows, dtype=bool),
    ).in_time_order()


def _draw_terminals(rng: np.random.Generator, world: World, customer: Ints) -> Ints:
    """Mostly a usual terminal near home, sometimes a web shop, now and then a terminal far away (travel)."""
    rows = len(customer)
    rank = np.minimum(rng.geometric(0.12, size=rows) - 1, world.usual.shape[1] - 1)
    terminal: Ints = world.usual[customer, rank]
    travels = rng.random(rows) < 0.03
    terminal[travels] = rng.choice(np.flatnonzero(~world.online), size=int(travels.sum()))
    shops = rng.random(rows) < world.online_share[customer]
    terminal[shops] = rng.choice(np.flatnonzero(world.online), size=int(shops.sum()))
    return terminal


def _draw_seconds(rng: np.random.Generator, first_day: int, end_day: int, rows: int) -> Ints:
    """Days with a weekly rhythm, and hours around the early afternoon."""
    days = np.arange(first_day, end_day)
    busy = 1.0 + 0.25 * (days % 7 >= 5)
    day = rng.choice(days, size=rows, p=busy / busy.sum())
    of_day = rng.normal(13.5 * 3600, 4.2 * 3600, size=rows) % DAY
    return day * DAY + of_day.astype(np.int64)


def _distance(rng: np.random.Generator, world: World, customer: Ints, terminal: Ints) -> Floats:
    """Kilometres from home to the terminal; for a web shop, to where the buyer's network address is."""
    to_terminal = np.linalg.norm(world.home[customer] - world.place[terminal], axis=1)
    to_buyer = rng.exponential(25, size=len(customer))
    return np.where(world.online[terminal], to_buyer, to_terminal)


# -------------------------------------------------------------------------------------------------- fraud


def add_fraud(rng: np.random.Generator, world: World, made: Transactions) -> None:
    """Turn :data:`FRAUD_SHARE` of the written transactions into fraud, by three scenarios."""
    total = round(FRAUD_SHARE * int((made.day >= 0).sum()))
    _compromise_terminals(rng, world, made, round(0.4 * total))
    _steal_card_data(rng, world, made, round(0.3 * total))
    _large_amounts(rng, made, total - _written_frauds(made))


def _written_frauds(made: Transactions) -> int:
    return int((made.fraud & (made.day >= 0)).sum())


def _large_amounts(rng: np.random.Generator, made: Transactions, quota: int) -> None:
    """A found or stolen card is emptied: one amount far above the customer's habit, anywhere.

    Only on written days: it clings to no terminal and no customer, so nothing written would remember it.
    """
    chosen = rng.choice(np.flatnonzero(~made.fraud & (made.day >= 0)), size=quota, replace=False)
    made.amount[chosen] *= rng.uniform(5, 14, size=quota)
    made.fraud[chosen] = True


def _compromise_terminals(rng: np.random.Generator, world: World, made: Transactions, quota: int) -> None:
    """A skimmer sits in a terminal for three weeks; most of what happens there is fraud."""
    physical, first_days = np.flatnonzero(~world.online), _first_days(rng)
    enough = _written_frauds(made) + quota
    while (missing := enough - _written_frauds(made)) > 0:
        there = (made.terminal == rng.choice(physical)) & _within(made.day, next(first_days), 21)
        chosen = _some_of(rng, there & ~made.fraud, made, share=0.8, at_most=missing)
        made.amount[chosen] *= rng.uniform(1.2, 2.5, size=len(chosen))
        made.fraud[chosen] = True


def _steal_card_data(rng: np.random.Generator, world: World, made: Transactions, quota: int) -> None:
    """Card data are used in web shops for two weeks: more than the customer spends, and from far away."""
    shops, first_days = np.flatnonzero(world.online), _first_days(rng)
    enough = _written_frauds(made) + quota
    while (missing := enough - _written_frauds(made)) > 0:
        customer = rng.choice(len(world.home), p=world.activity)
        theirs = (made.customer == customer) & _within(made.day, next(first_days), 14)
        chosen = _some_of(rng, theirs & ~made.fraud, made, share=0.45, at_most=missing)
        made.terminal[chosen] = rng.choice(shops, size=len(chosen))
        made.amount[chosen] *= rng.uniform(2, 6, size=len(chosen))
        made.distance[chosen] = rng.gamma(2.0, 150, size=len(chosen))
        made.fraud[chosen] = True


def _first_days(rng: np.random.Generator) -> Iterator[int]:
    """First days of attacks, spread evenly over the time by the golden ratio, so that no month is spared."""
    position = rng.random()
    while True:
        yield int(position * (WARM_UP_DAYS + DAYS)) - WARM_UP_DAYS
        position = (position + 0.6180339887) % 1


def _some_of(rng: np.random.Generator, among: Bools, made: Transactions, share: float, at_most: int) -> Ints:
    """Positions of a random *share* of the marked transactions, of which *at_most* are on written days."""
    chosen = np.flatnonzero(among & (rng.random(len(among)) < share))
    return chosen[np.cumsum(made.day[chosen] >= 0) <= at_most]


def _within(day: Ints, first: int, length: int) -> Bools:
    return (day >= first) & (day < first + length)


def add_drift(rng: np.random.Generator, world: World, made: Transactions, since: int) -> None:
    """From day *since* on, prices are 30 % higher, and stolen cards are tried out in web shops.

    The latter are small amounts at night: a kind of fraud that no earlier model has seen, beside the others.
    """
    late = np.flatnonzero(made.day >= since)
    made.amount[late] *= 1.3
    honest = late[~made.fraud[late]]
    chosen = rng.choice(honest, size=round(FRAUD_SHARE * len(late)), replace=False)
    made.terminal[chosen] = rng.choice(np.flatnonzero(world.online)[:5], size=len(chosen))
    made.amount[chosen] = rng.uniform(0.5, 3.0, size=len(chosen))
    made.second[chosen] = made.second[chosen] // DAY * DAY + rng.integers(0, 4 * 3600, size=len(chosen))
    made.fraud[chosen] = True


# --------------------------------------------------------------------------- what was known at that moment


class Past:
    """Counts and sums over windows that end before each transaction, for one kind of group.

    All groups lie on one axis of *moments*, each far enough from the next that no window reaches into another
    group, so that one sorted array and a binary search answer every window.
    """

    def __init__(self, group: Ints, second: Ints) -> None:
        self._moment = group * (4 * (DAYS + WARM_UP_DAYS) * DAY) + second
        self._order = np.argsort(self._moment, kind="stable")
        self._sorted = self._moment[self._order]

    def count(self, days_ago: tuple[int, int]) -> Ints:
        """Transactions of the group from the first to the second number of days ago, not the present one."""
        low, high = self._bounds(days_ago)
        return high - low

    def total(self, values: Floats, days_ago: tuple[int, int]) -> Floats:
        """As :meth:`count`, summing *values*."""
        running = np.concatenate([[0.0], np.cumsum(values[self._order])])
        low, high = self._bounds(days_ago)
        total: Floats = running[high] - running[low]
        return total

    def mean(self, values: Floats, days_ago: tuple[int, int]) -> Floats:
        """Mean of *values*; NaN where the group has none in the window."""
        count = self.count(days_ago)
        with np.errstate(invalid="ignore"):
            mean: Floats = self.total(values, days_ago) / count
        return mean  # 0 / 0 is NaN

    def _bounds(self, days_ago: tuple[int, int]) -> tuple[Ints, Ints]:
        first, last = days_ago
        low = np.searchsorted(self._sorted, self._moment - first * DAY, side="left")
        high = np.searchsorted(self._sorted, self._moment - last * DAY, side="left")
        return low, high


def to_table(rng: np.random.Generator, world: World, made: Transactions) -> pa.Table:
    """The written columns of *made*, which must be in time order; the warm-up is left out."""
    customer, terminal = Past(made.customer, made.second), Past(made.terminal, made.second)
    amount = np.round(np.maximum(made.amount, 0.01), 2)
    at = START + (made.second - WARM_UP_DAYS * DAY)
    country, home_country = _country(world.place[made.terminal]), _country(world.home[made.customer])
    labels_known = (28 + LABEL_DELAY_DAYS, LABEL_DELAY_DAYS)
    columns = {
        "transaction_id": _names("t", np.arange(len(at)), 8),
        "at": _timestamps(at),
        "local_time": _timestamps(at + UTC_OFFSET_HOURS * 3600),
        "customer_id": _names("c", made.customer, 5),
        "terminal_id": _names("m", made.terminal, 5),
        "amount": amount,
        "channel": np.array(CHANNELS, dtype=object)[_channel(rng, world, made.terminal, amount)],
        "merchant_category": np.array(CATEGORIES, dtype=object)[world.category[made.terminal]],
        "country": np.array(COUNTRIES, dtype=object)[country],
        "abroad": country != home_country,
        "distance_km": np.round(made.distance, 1),
        "customer_count_1d": customer.count((1, 0)),
        "customer_count_7d": customer.count((7, 0)),
        "customer_mean_amount_7d": np.round(customer.mean(amount, (7, 0)), 2),
        "terminal_count_1d": terminal.count((1, 0)),
        "terminal_fraud_share_28d": np.round(terminal.mean(made.fraud.astype(float), labels_known), 4),
        "is_fraud": made.fraud,
        "chargeback_at": _chargebacks(rng, at, made.fraud),
    }
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return table.filter(pa.array(made.day >= 0))


def _country(place: Floats) -> Ints:
    return (place[:, 0] / 600 * len(COUNTRIES)).astype(np.int64)


def _channel(rng: np.random.Generator, world: World, terminal: Ints, amount: Floats) -> Ints:
    taps = rng.random(len(terminal)) < np.where(amount < 50, 0.85, 0.15)
    channel = np.where(taps, CONTACTLESS, CHIP)
    channel = np.where(world.category[terminal] == CATEGORIES.index("cash"), ATM, channel)
    return np.where(world.online[terminal], ONLINE, channel)


def _chargebacks(rng: np.random.Generator, at: NDArray[np.datetime64], fraud: Bools) -> pa.Array:
    """When the customer got the money back: weeks later, and only for nine frauds of ten."""
    later = at + rng.integers(3 * DAY, 40 * DAY, size=len(at))
    claimed = fraud & (rng.random(len(at)) < 0.9)
    return pa.array(later.astype("datetime64[us]"), mask=~claimed)


def _names(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    padded = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=digits, padding="0")
    return pc.binary_join_element_wise(prefix, padded, "")


def _timestamps(at: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(at.astype("datetime64[us]"))


# --------------------------------------------------------------------------------------------------- dirt


def add_dirt(rng: np.random.Generator, table: pa.Table, rows: int) -> pa.Table:
    """What tables look like when they come from several systems, and *rows* rows at the end.

    Harmless: a country in lower case or with a blank; an unknown distance or category; a row sent twice.
    Impossible: no amount, a negative amount, a distance that is not on Earth, a channel that does not exist.
    """
    dirty: dict[str, list[tuple[float, object]]] = {
        "country": [(0.004, str.lower), (0.002, "{} ".format)],
        "merchant_category": [(0.003, None)],
        "distance_km": [(0.01, None), (0.0002, 99_999.0)],
        "amount": [(0.0003, None), (0.0003, -1.0)],
        "channel": [(0.0002, "???")],
    }
    for name, faults in dirty.items():
        values = table[name].to_numpy(zero_copy_only=False).astype(object)
        for share, fault in faults:
            for row in rng.choice(len(values), size=round(share * len(values)), replace=False).tolist():
                values[row] = fault(values[row]) if callable(fault) else fault
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, table.schema.field(at).type, from_pandas=True))
    return _repeat_rows(rng, table, rows)


def _repeat_rows(rng: np.random.Generator, table: pa.Table, rows: int) -> pa.Table:
    again = rng.choice(len(table), size=rows - len(table), replace=False)
    return table.take(np.sort(np.concatenate([np.arange(len(table)), again])))


# ------------------------------------------------------------------------------------------------- writing


def generate(rows: int, seed: int, drift: int | None = None) -> pa.Table:
    """The whole table: *rows* rows in time order. *drift* is the day from which the world is another one."""
    rng = np.random.default_rng(seed)
    unique = rows - round(0.002 * rows)
    world = draw_world(rng, rows)
    made = draw_transactions(rng, world, unique)
    add_fraud(rng, world, made)
    if drift is not None:
        add_drift(rng, world, made, drift)
        made = made.in_time_order()
    return add_dirt(rng, to_table(rng, world, made), rows)


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


def write(table: pa.Table, out: Path, kind: str) -> None:
    """One file a week, so that reading can be done in parts."""
    week = pc.divide(pc.days_between(pa.scalar(START.astype("datetime64[us]")), table["at"]), 7)
    with whole_folder(out, "transactions-*") as folder:
        for number in sorted(pc.unique(week).to_pylist()):
            part = table.filter(pc.equal(week, number))
            path = folder / f"transactions-{number + 1:02d}.{kind}"
            (pa.csv.write_csv if kind == "csv" else pa.parquet.write_table)(part, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, generate, write, say what was written."""
    parser = argparse.ArgumentParser(description="Generate card transactions with fraud in them.")
    option = parser.add_argument
    option("--out", type=Path, default=Path("data"), help="folder to write (default: data)")
    option("--rows", type=int, default=200_000, help="rows, duplicates included (default: 200000)")
    option("--seed", type=int, default=7, help="the same seed gives the same files (default: 7)")
    option("--format", choices=("parquet", "csv"), default="parquet", help="default: parquet")
    option(
        "--drift", type=int, nargs="?", const=60, metavar="DAY", help="change the world from this day (60)"
    )
    asked = parser.parse_args(arguments)
    table = generate(asked.rows, asked.seed, asked.drift)
    write(table, asked.out, asked.format)
    share = 100 * pc.mean(table["is_fraud"].cast(pa.float64())).as_py()
    print(f"{len(table):,} transactions, {share:.2f} % fraud, in {asked.out}")


if __name__ == "__main__":
    main()
