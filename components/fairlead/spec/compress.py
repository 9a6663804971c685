"""``serve.compress``: whether the bundle stage looks for a smaller or faster model, and when it takes one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from fairlead.spec.base import SpecModel
from fairlead.spec.metrics import METRICS

Method = Literal["quantise", "prune", "distil"]
Wish = Literal["smallest", "fastest", "none"]

VALUE = "value_per_1000"
"""What the word *value* in a rule stands for."""

_RULE = re.compile(r"(?P<wish>smallest|fastest) within (?P<percent>\d+(?:\.\d+)?) ?% of (?P<metric>\w+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes one model preferable to another, and what it may lose by it."""

    wish: Wish
    """``none``: every variant is measured, and none is taken."""
    percent: float = 0.0
    """Largest loss, in percent of the uncompressed model's figure."""
    metric: str = VALUE


def parse_rule(text: str) -> Rule:
    """The rule a text states.

    >>> parse_rule("smallest within 0.2 % of value")
    Rule(wish='smallest', percent=0.2, metric='value_per_1000')
    >>> parse_rule("fastest within 1% of roc_auc").metric
    'roc_auc'
    >>> parse_rule("none").wish
    'none'

    Raises:
        ValueError: The text is no rule, or names a metric that does not exist.
    """
    words = " ".join(text.split())
    if words == "none":
        return Rule("none")
    found = _RULE.fullmatch(words)
    if found is None:
        raise ValueError('must be "none", or "smallest" or "fastest" followed by "within N % of METRIC"')
    metric = VALUE if found["metric"] == "value" else found["metric"]
    if metric not in METRICS:
        raise ValueError(f"no metric of the name {metric!r}; known: value, {', '.join(sorted(METRICS))}")
    return Rule("smallest" if found["wish"] == "smallest" else "fastest", float(found["percent"]), metric)


class Compress(SpecModel):
    """Smaller variants of the trained model, each measured on test rows before one may take its place."""

    methods: tuple[Method, ...] = Field(default=("quantise", "prune", "distil"), min_length=1)
    """``quantise``: weights and activations of the ONNX graph in 8 bits. ``prune``: fewer trees, fewer leaves, weights near
    zero and the terms they belong to left out. ``distil``: a smaller model that is trained on the answers of the large one."""
    choose: str = "smallest within 0.2 % of value"
    """``smallest within N % of METRIC``, ``fastest within N % of METRIC`` or ``none``. A variant is taken only if the bad end
    of the paired 95 % interval of its loss is within N percent of the uncompressed model's figure, and all gates hold for it.
    ``value`` is value_per_1000 and needs ``problem.value``. ``fastest`` compares times, so two runs may choose differently."""

    @field_validator("choose")
    @classmethod
    def _is_a_rule(cls, text: str) -> str:
        parse_rule(text)
        return text

    @property
    def rule(self) -> Rule:
        """``choose``, parsed."""
        return parse_rule(self.choose)
