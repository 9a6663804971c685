"""How figures are written, the same on every page."""

from __future__ import annotations

import math

DASH = "–"


def number(value: float | None, digits: int = 4) -> str:
    """*value* with about *digits* significant digits, thousands apart, no exponent in daily sizes.

    >>> number(0.912345), number(1234567), number(1234.5678), number(0.5)
    ('0.9123', '1,234,567', '1,235', '0.5')
    >>> number(-12.0), number(0.000123), number(0.00001234), number(2.5e12), number(float("inf"))
    ('-12', '0.000123', '1.234e-05', '2,500,000,000,000', 'inf')
    """
    if value is None or math.isnan(value):
        return DASH
    if isinstance(value, int) or (value == int(value) if math.isfinite(value) else False):
        return f"{int(value):,}"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return _fraction(value, digits)


def _fraction(value: float, digits: int) -> str:
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4:
        return f"{value:.{digits - 1}e}"
    # One digit less below 0.1: shares of 0.0123 and 0.123 then end at the same decimal.
    decimals = digits - 1 - magnitude - (magnitude < -1)
    text = f"{value:,.{max(0, decimals)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float | None) -> str:
    """A share as a percentage.

    >>> percent(0.0834), percent(1.0)
    ('8.34 %', '100 %')
    """
    return DASH if share is None else f"{number(100 * share, 3)} %"
