"""Rules over two columns of a row, parsed from text. Nothing of it is ever evaluated as code."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fairlead.errors import ProjectError
from fairlead.nearest import did_you_mean
from fairlead.spec import Contract

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_COMPARISON = re.compile(r"(?P<left>.+?)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<right>.+)")


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left sign right``, where right is a column or a number."""

    text: str
    because: str
    left: str
    sign: str
    right: str | float

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.left, self.right) if isinstance(self.right, str) else (self.left,)

    def holds(self, rows: pd.DataFrame) -> pd.Series[bool]:
        """Where the rule holds; a row in which a side is missing is not judged by it."""
        left = rows[self.left]
        right = rows[self.right] if isinstance(self.right, str) else self.right
        unknown = left.isna() | (right.isna() if isinstance(right, pd.Series) else False)
        holds: pd.Series[bool] = _OPERATORS[self.sign](left, right).fillna(value=False).astype(bool) | unknown
        return holds


def parse_rules(contract: Contract) -> tuple[Comparison, ...]:
    """The contract's row rules.

    Raises:
        ProjectError: A rule is no comparison, names a column that is not there, or compares what cannot be compared.
    """
    return tuple(_parse(rule.rule, rule.because, contract) for rule in contract.rows)


def _parse(text: str, because: str, contract: Contract) -> Comparison:
    match = _COMPARISON.fullmatch(text.strip())
    if match is None:
        raise ProjectError(
            f"row rule {text!r} is not a comparison",
            hint="Write `column >= column` or `column != 0`; signs: >= <= == != > <.",
        )
    left, sign, right = match["left"].strip(), match["sign"], _side(match["right"].strip())
    for side in (left, right):
        if isinstance(side, str) and side not in contract.columns:
            hint = did_you_mean(side, contract.columns)
            raise ProjectError(
                f"row rule {text!r} names {side!r}, which is no column of the contract", hint=hint
            )
    comparison = Comparison(text.strip(), because, left, sign, right)
    _check_comparable(comparison, contract)
    return comparison


def _side(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _check_comparable(rule: Comparison, contract: Contract) -> None:
    left = _family(contract.columns[rule.left].type)
    right = "number" if isinstance(rule.right, float) else _family(contract.columns[rule.right].type)
    if left != right:
        raise ProjectError(f"row rule {rule.text!r} compares a {left} with a {right}")


def _family(kind: str) -> str:
    return {"integer": "number", "category": "text"}.get(kind, kind)
