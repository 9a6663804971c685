"""The section ``release`` of the project file: how a new version gets traffic, and what stops it.

What is meant by each guard, what it assumes and what it cannot see stands in ``docs/judge.md``. Everything here is fixed before a
release's first look; a change during a release starts its evidence anew.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from fairlead.spec.base import SpecModel
from fairlead.spec.run import Duration, seconds_of

Share = Annotated[float, Field(gt=0, lt=1)]
Chance = Annotated[float, Field(gt=0, le=0.5)]
Weight = Annotated[float, Field(gt=0, le=100)]
Action = Literal["abort", "hold", "report"]


def _weights(steps: tuple[float, ...]) -> tuple[float, ...]:
    """Weights that rise and leave something to compare with; a last 100 is what follows anyway."""
    for before, after in pairwise(steps):
        if not after > before:
            raise ValueError(f"weights must rise, but {after:g} comes after {before:g}")
    if steps[-1] == 100:
        steps = steps[:-1]
        if not steps:
            raise ValueError("100 alone compares nothing: put weights before it, or take strategy blue-green")
    if steps[-1] > 95:
        raise ValueError(
            f"{steps[-1]:g} leaves stable too little traffic to compare with: end with 95 or less, 100 follows by itself"
        )
    return steps


class MarginLine(SpecModel):
    """How much worse than stable the candidate may be: a rate of at most ``ratio`` times stable's, plus ``add``."""

    ratio: float = Field(gt=0, le=10)
    """No unit. 1: only ``add`` counts."""
    add: float = Field(ge=0, le=0.5)
    """A share: 0.001 is one in a thousand. With 0, a release without a single bad answer could never be proved good."""


class ErrorsRule(SpecModel):
    """Failed requests."""

    margin: MarginLine = MarginLine(ratio=1.25, add=0.001)
    """Default: a quarter more errors and one in a thousand. At a low rate the ratio alone would need hundreds of thousands of
    requests, at a high one the addend alone is out of reach."""
    action: Action = "abort"
    """``abort``: its evidence counts towards going back; ``hold``: it stops the release until a person has looked; ``report``."""
    required: bool = True
    """Whether each step waits for the proof that the candidate is inside the margin."""
    burst: float = Field(default=1.0, ge=1, le=1000)
    """Requests that may fail together: E[k²]/E[k] of the sizes k of groups of retries or sessions. 1, the default, is right when
    first attempts are counted, as fairlead's own counters do."""


class LatencyRule(SpecModel):
    """Slow answers."""

    objective_ms: float | None = Field(default=None, gt=0)
    """Slow is what takes longer, in milliseconds; the next bound of the histogram is taken. Default:
    ``serve.objective.p99_ms``."""
    quantile: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    """Instead of an objective: slow is what was above this quantile of stable's history. 0.99 says "p99 is not worse"."""
    margin: MarginLine = MarginLine(ratio=1.25, add=0.0025)
    """Default: a quarter more slow answers and a quarter of a percent."""
    action: Action = "abort"
    """``hold``, where the candidate has a single pod or node: the node and the version cannot be told apart then."""
    required: bool = True
    """As for errors."""
    block: Duration | None = None
    """Slow answers come in clusters, so they are judged in blocks of this length: at least twice as long as an arm's noise hangs
    together. Default: 60s; 5s in profile demo."""
    kappa0: float = Field(default=1.0, gt=0, le=10)
    """Noise of an arm's rate of slow answers from block to block, relative, before it has been seen. 1 is careful; less decides
    sooner and aborts more often for nothing."""

    @model_validator(mode="after")
    def _objective_or_quantile(self) -> Self:
        if self.objective_ms is not None and self.quantile is not None:
            raise ValueError("give objective_ms or quantile: each says what is slow")
        return self


class PredictionsRule(SpecModel):
    """The distribution of answers: classes, or ten bins of the score."""

    tolerance: Share = 0.05
    """Total variation that is allowed. 0.05: the shares of all bins may differ by 5 percentage points in sum, one way."""
    action: Action = "hold"
    """A new model is meant to answer differently, so a person looks."""


class FlipsRule(SpecModel):
    """Requests that both versions answered (``shadow: true``): how often the answers differ."""

    bound: Share = 0.02
    """Share of pairs that may differ."""
    tolerance: float = Field(default=0.0, ge=0)
    """Scores that are at most this far apart do not differ, in the unit of the answer. Classes differ or not."""
    action: Action = "hold"
    """A flip is not a fault, so a person looks."""
    required: bool = False
    """Whether steps wait for the proof that fewer pairs differ."""


class LabelsRule(SpecModel):
    """When labels come, and what a missing one means."""

    maturity: Duration
    """Age of a prediction by which 90 % of the labels have come, such as ``7d``. Margins are judged on older predictions only:
    the difference among early labels is not the final one."""
    missing: Literal["ignore", "worst_case"] = "ignore"
    """``worst_case``: for promoting, a missing label counts against the candidate and for stable."""
    coverage: Share = 0.02
    """How far the shares without a label may be apart before the release holds: unequal ones mean that labels are selected."""
    early: Literal["off", "hold"] = "off"
    """Whether labels of younger predictions may hold the release when they prove any harm at all."""


class LabelledRule(SpecModel):
    """What guards on labels share."""

    labels: LabelsRule | None = None
    """Without it nobody sends labels, and there is nothing to judge."""
    action: Action = "abort"
    """As for errors."""
    required: bool = True
    """Whether the last step waits for the proof."""

    @model_validator(mode="after")
    def _a_proof_needs_labels(self) -> Self:
        if self.required and self.labels is None:
            raise ValueError(
                "required needs labels: say when they come (labels: {maturity: 7d}), or set required: false"
            )
        return self


class QualityRule(LabelledRule):
    """Wrong answers, once labels are known. Judged on pairs with ``shadow: true``, which takes fewer labels, else by arm."""

    margin: Share | None = None
    """Wrong answers that the candidate may have more, as a share of all. Default: 0.005 on pairs, 0.01 by arm, the smallest
    that ordinary numbers of labels decide."""


class ValueRule(LabelledRule):
    """Money, by ``problem.value``, once labels are known."""

    margin: float = Field(gt=0)
    """Money per prediction that the candidate may lose on average, in the currency of ``problem.value``. No default: only you
    know what is too much."""
    cap: float = Field(gt=0)
    """Money: a single prediction's gain or loss is cut there. A proof takes more labels the larger it is, and what is beyond it
    is not seen. No default: the largest amount of ``problem.value`` is a good one."""

    @model_validator(mode="after")
    def _margin_below_cap(self) -> Self:
        if self.margin >= self.cap:
            raise ValueError(f"margin is {self.margin:g}, but must be below cap ({self.cap:g})")
        return self


class SlicesRule(SpecModel):
    """Failed requests by value of one column, such as a tenant or a country."""

    by: str
    """The column."""
    values: tuple[str, ...] = Field(min_length=1, max_length=50)
    """The slices, fixed before the release. Requests with other values are in none."""
    margin: MarginLine = MarginLine(ratio=2.0, add=0.01)
    """Wider than that of all requests, because each slice has only a part of them."""
    action: Action = "abort"
    """As for errors."""
    required: bool = True
    """Whether steps wait for the proof in every slice that has enough traffic."""
    required_share: Share = 0.05
    """Slices with less of the traffic are only reported: their proof would take days."""


class TrafficRule(SpecModel):
    """Whether the candidate gets the share that was asked for."""

    tolerance: Share = 0.2
    """Relative: with 5 % asked, 4 to 6 % are right."""
    action: Literal["hold", "report"] = "report"
    """``hold``: a share that is proved wrong stops the release."""


class AfterRule(SpecModel):
    """After 100 % there is nothing left to compare with: bounds that the new version is held to while the old one is warm."""

    errors: Share | None = None
    """Share of failed requests above which the release goes back. Default: twice stable's rate before the release, plus half of a
    percent; wider than the margin, because nothing outside the model cancels any more."""
    slow: Share | None = None
    """The same for slow answers. Default: twice stable's share, plus 1.25 percent."""


class Guards(SpecModel):
    """What is judged. ``null`` turns a guard off."""

    errors: ErrorsRule | None = ErrorsRule()
    latency: LatencyRule | None = LatencyRule()
    predictions: PredictionsRule | None = PredictionsRule()
    flips: FlipsRule | None = FlipsRule()
    """Only with ``shadow: true``."""
    quality: QualityRule | None = None
    """Default: off, because labels must come from somewhere."""
    value: ValueRule | None = None
    slices: SlicesRule | None = None
    traffic: TrafficRule | None = TrafficRule()
    after: AfterRule = AfterRule()


class Release(SpecModel):
    """How a new version is released."""

    strategy: Literal["canary", "blue-green", "shadow"] = "canary"
    """``canary``: traffic moves step by step. ``blue-green``: all of it at once, after a proof on copied requests or a preview.
    ``shadow``: copied requests only; what comes after is decided by a person."""
    steps: Annotated[tuple[Weight, ...], AfterValidator(_weights)] = Field(
        default=(1.0, 5.0, 25.0, 50.0), min_length=1, max_length=20
    )
    """Weights of the candidate in percent, rising, at most 95; 100 follows the last one by itself. Each step proves a
    margin that its traffic can prove: 5 times the errors and 5 percentage points at first, the guard's own margin at the
    last. Only for ``canary``."""
    shadow: bool = False
    """Whether requests are also copied to the candidate, and answers compared in pairs. Costs the candidate's capacity."""
    guards: Guards = Guards()
    alpha: Chance = 0.05
    """Chance that a candidate inside the margins is ever taken back. In fact about 1 % at a strict margin, and next to none at
    the default one."""
    beta: Chance = 0.05
    """Chance that a candidate at or beyond some margin is ever promoted."""
    look: Duration | None = None
    """Time between two looks. Shorter ones change nothing about the chances of error, and find a fault seconds sooner. Default:
    60s; 2s in profile demo."""
    min_step: Duration | None = None
    """Least time at a weight. Default: 60s; 2s in profile demo."""
    soak: Duration | None = None
    """Least time at the last weight: a good candidate is proved in ten minutes, and a leak shows later. Default: 30m; 6s in
    profile demo."""
    stale_after: Duration | None = None
    """Time without new requests of either version after which nothing can be said; at least five looks. Default: 5m; 20s in
    profile demo."""
    timeout: Duration = "24h"
    """Age at which a release that is still undecided ends."""
    on_timeout: Literal["hold", "abort"] = "hold"
    """What then: wait for a person, or go back. It is never promoted."""
    profile: Literal["default", "demo"] = "default"
    """``demo``: short looks, blocks and soak, latency only reported. For demonstrations and tests; shown in everything that is
    said about the release, and not for production."""

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        look = seconds_of(self.look) if self.look else 0
        if self.stale_after and seconds_of(self.stale_after) < 5 * look:
            raise ValueError(
                f"stale_after is {self.stale_after}, but must be at least five looks ({5 * look} s): "
                "a single missed look is not silence"
            )
        if self.soak and seconds_of(self.soak) >= seconds_of(self.timeout):
            raise ValueError(
                f"timeout is {self.timeout}, but must be above soak ({self.soak}), or no release could ever be promoted"
            )
        return self
