"""How one model is released: the record in its policy ConfigMap, written by the model chart."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from fairlead.errors import ProjectError
from fairlead.spec.base import SpecModel
from fairlead.spec.release import Release as Plan

Seconds = Annotated[int, Field(ge=0, le=604_800)]


class PolicyPart(SpecModel):
    """Keys are camelCase, as everywhere in Kubernetes."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class TrafficPolicy(PolicyPart):
    """How requests find the live slot."""

    backend: Literal["gateway", "service"]
    """gateway: the rules of an HTTPRoute; service: the selector of the live Service."""
    route: str | None = None
    """The HTTPRoute whose rules the driver owns."""
    preview_route: str | None = None
    """An HTTPRoute that shows the candidate before it is live."""
    path_prefix: str = "/"
    strip_prefix: bool = False
    """Whether the prefix is taken off before the model sees the path."""

    @model_validator(mode="after")
    def _a_gateway_needs_a_route(self) -> Self:
        if self.backend == "gateway" and not self.route:
            raise ValueError("traffic.backend gateway needs traffic.route, the name of an HTTPRoute")
        return self


class ScalePolicy(PolicyPart):
    """How many pods."""

    floor: int = Field(default=1, ge=1, le=10_000)
    """Fewest pods of the live slot, and of a candidate before it gets traffic."""


class ProbePolicy(PolicyPart):
    """The scored request a candidate must answer before it gets traffic."""

    path: str = Field(default="/predict", pattern="^/")
    timeout_seconds: float = Field(default=5, gt=0, le=60)
    """The driver looks at no other model meanwhile."""


class Policy(PolicyPart):
    """How one model is released. Unknown keys are refused: a typing error must not be a silent default."""

    model: str = Field(min_length=1, max_length=40)
    traffic: TrafficPolicy
    scale: ScalePolicy = ScalePolicy()
    window_seconds: Seconds = 600
    """How long the old slot stays warm after a switch, so that going back takes a second and not a start."""
    ready_seconds: Seconds = 600
    """How long a candidate may take to be ready, not counting the time its pods wait for room."""
    probe: ProbePolicy = ProbePolicy()
    drain_seconds: Seconds = 5
    """Least time between a switch and the first change to the old slot's pods."""
    profile: str = "default"
    """Named set of thresholds; shown with everything the driver says."""
    release: Plan | None = None
    """The section ``release`` of the project file. Without it traffic moves all at once, after the probe."""
    objective_ms: float | None = Field(default=None, gt=0)
    """What is slow, where the section does not say: ``serve.objective.p99_ms`` of the project file."""

    @model_validator(mode="after")
    def _steps_need_a_gateway(self) -> Self:
        if self.steps and self.traffic.backend == "service":
            raise ValueError(
                "release.strategy canary needs traffic.backend gateway: a Service cannot share traffic by weight"
            )
        return self

    @model_validator(mode="after")
    def _only_what_is_read_is_judged(self) -> Self:
        guards = self.release.guards if self.release else None
        named = ("quality", "value", "slices")
        asked = [name for name in named if getattr(guards, name, None) is not None]
        if self.release and (self.release.shadow or self.release.strategy == "shadow"):
            asked.append("shadow")
        if asked:
            raise ValueError(
                f"release: {', '.join(asked)} cannot be judged yet: the driver reads the pods' counters, not the prediction log"
            )
        return self

    @property
    def steps(self) -> tuple[float, ...]:
        """Weights of a candidate in percent, rising; empty where traffic moves all at once."""
        return self.release.steps if self.release and self.release.strategy == "canary" else ()

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read ``policy.json``.

        Raises:
            ProjectError: It is not JSON, a key is unknown or missing, or a value breaks its rule.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as cause:
            said = "; ".join(
                f"{'.'.join(map(str, error['loc'])) or 'policy.json'}: {error['msg']}"
                for error in cause.errors()
            )
            raise ProjectError(f"the release policy cannot be used: {said}",
                               hint="Upgrade the model's chart, or mend the ConfigMap.") from cause  # fmt: skip
