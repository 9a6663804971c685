from __future__ import annotations

from types import ModuleType

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def table(segments: ModuleType) -> pd.DataFrame:
    return pd.DataFrame(segments.generate(4000, seed=3))


def test_one_customer_in_a_hundred_comes_twice(table: pd.DataFrame) -> None:
    assert len(table) == 4040
    assert table.duplicated().sum() == 40


def test_dirt_is_rare_and_there(table: pd.DataFrame) -> None:
    impossible = (table["returned_share"] > 1) | (table["turnover_eur"] < 0)
    assert 0 < impossible.mean() < 0.01
    assert 0 < table["returned_share"].isna().mean() < 0.05


def test_turnover_is_orders_times_basket(segments: ModuleType) -> None:
    clean = segments.draw_customers(np.random.default_rng(0), 500)
    np.testing.assert_allclose(clean["turnover_eur"], clean["orders"] * clean["mean_basket_eur"], rtol=1e-3)


def test_nobody_bought_before_becoming_a_customer(segments: ModuleType) -> None:
    clean = segments.draw_customers(np.random.default_rng(0), 5000)
    assert (clean["recency_days"] <= clean["tenure_days"]).all()
