"""What stands between a request and its handler: who may ask, what a page of another site may, what is too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from fairlead.serve.environment import Environment
from fairlead.serve.guards.access import Access, Internal, access_of, internal_of
from fairlead.serve.guards.admission import Admission, AdmissionSettings
from fairlead.serve.guards.browser import HEADERS, Cors
from fairlead.serve.http import Header
from fairlead.serve.metrics.registry import Metrics


@dataclass(frozen=True, slots=True)
class Guards:
    """What is set for a deployment; None where nothing is."""

    admission: Admission
    access: Access | None = None
    internal: Internal | None = None
    cors: Cors | None = None
    headers: tuple[Header, ...] = HEADERS
    """Of every answer."""

    @classmethod
    def from_environment(cls, env: Environment, metrics: Metrics) -> Self:
        """Read the settings of each part. Raises ProjectError."""
        return cls(
            admission=Admission(AdmissionSettings.from_environment(env), metrics),
            access=access_of(env, metrics),
            internal=internal_of(env, metrics),
            cors=Cors.from_environment(env),
        )

    def close(self) -> None:
        """End what runs beside the requests."""
        self.admission.close()
        if self.access is not None:
            self.access.close()
