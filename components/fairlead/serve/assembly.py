"""All that answers for one model in one process, put together by a deployment's settings, and taken down in order.

Up: the lane listens (probes are answered), the model is loaded and warmed, its routes are attached. Down:
readiness goes off, requests are still taken for the drain time, what is in flight is finished, then what was
copied and logged is sent and written.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.serve.app import UNKNOWN_ENDPOINT, App
from fairlead.serve.environment import Environment
from fairlead.serve.guards.guards import Guards
from fairlead.serve.guards.watchdog import Watchdog, WatchSettings
from fairlead.serve.guards.wire import WireLimits, protocol_of
from fairlead.serve.http import Header, Limits, Observer
from fairlead.serve.inline import inline_protocol
from fairlead.serve.lane import Lane, LaneSettings
from fairlead.serve.loading import LoadedModel
from fairlead.serve.log.prediction_log import LogSettings, PredictionLog
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.routes import OPTIONAL, routes_of
from fairlead.serve.shadow.copies import Shadow, ShadowSettings
from fairlead.serve.tracing.settings import tracing_of

if TYPE_CHECKING:
    from fairlead.serve.tracing.spans import Tracer
    from fairlead.serve.v2 import grpc

logger = logging.getLogger("fairlead.serve")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process this is, in metrics and log."""

    slot: str
    pod: str
    pod_uid: str

    @classmethod
    def from_environment(cls, env: Environment) -> Identity:
        """Read ``FAIRLEAD_SLOT``, ``FAIRLEAD_POD`` (default: the host's name), ``FAIRLEAD_POD_UID``."""
        return cls(
            slot=env.text("FAIRLEAD_SLOT"),
            pod=env.text("FAIRLEAD_POD", socket.gethostname()),
            pod_uid=env.text("FAIRLEAD_POD_UID"),
        )


class Assembly:
    """The application, the lane and gRPC, and everything beside them."""

    def __init__(self, variables: Mapping[str, str] | None = None, *, workers: int = 1) -> None:
        """Read all settings; ProjectError names the one that is wrong, before anything is started."""
        self._env = env = Environment(os.environ if variables is None else variables)
        self._shared = workers > 1
        self.identity = Identity.from_environment(env)
        self.settings = LaneSettings.from_environment(env, shared=self._shared)
        self.limits = limits_of(env)
        self._apis = frozenset(env.words("FAIRLEAD_APIS", known=OPTIONAL))
        self._grpc_port = env.whole("FAIRLEAD_GRPC_PORT", -1, low=-1, high=65_535)
        self._log_settings = LogSettings.from_environment(env)
        self._shadow_settings = ShadowSettings.from_environment(env)
        self.metrics = Metrics(
            self.identity.slot, self.identity.pod, self.identity.pod_uid, env.path("FAIRLEAD_METRICS_FOLDER")
        )
        self.guards = Guards.from_environment(env, self.metrics)
        self.app = App(self.metrics, self.guards, self.limits)
        self.lane = Lane(self.app, self.settings, self._protocol())
        self._watchdog = Watchdog(WatchSettings.from_environment(env), longest=self.guards.admission.longest)
        self._grpc: grpc.Server | None = None
        self._log: PredictionLog | None = None
        self._shadow: Shadow | None = None
        self._tracer: Tracer | None = None

    def _protocol(self) -> type[HttpToolsProtocol]:
        """The lane's HTTP; what it refuses itself is counted like any other answer."""
        return protocol_of(
            WireLimits.from_environment(self._env),
            self.guards.headers,
            lambda status: self.metrics.observe(UNKNOWN_ENDPOINT, "live", status, 0.0),
            inline_protocol(self.app),
        )

    # ---------------------------------------------------------------------------------------------- up

    async def start(self) -> None:
        """Listen. Probes are answered from here on; "ready" comes with :meth:`attach`."""
        self.metrics.open()
        await self.lane.start()
        if self._grpc_port >= 0:
            self._grpc = await self._start_grpc()
        self._watchdog.start()

    async def _start_grpc(self) -> grpc.Server:
        from fairlead.serve.v2 import grpc  # noqa: PLC0415 - 10 MB that most do without

        return await grpc.start(
            self.app,
            self._grpc_port,
            address=self.settings.host,
            limits=self.limits,
            admit=self._admit_call,
            share_port=self._shared,
        )

    def _admit_call(self, headers: list[Header], endpoint: str) -> str:
        """Who makes a gRPC call. Raises Refused."""
        access = self.guards.access
        return "" if access is None else access.admit(dict(headers), endpoint)

    async def attach(self, model: LoadedModel) -> None:
        """Begin to answer for *model*."""
        self.metrics.attach(model)
        observers = await self._begin_observing(model)
        routes = routes_of(
            model,
            self.limits,
            self.app,
            feedback=self._log.feedback if self._log is not None else None,
            apis=self._apis,
        )
        self.app.attach(f"{model.name} {model.version}", routes, observers)
        if self._grpc is not None:
            self._grpc.attach(model)
            logger.info("serving gRPC on %s", self._grpc.address)
        # What is loaded now stays: the collector need not look at it again with every few thousand requests.
        gc.collect()
        gc.freeze()
        logger.info(
            "serving %s %s (%s) on http://%s", model.name, model.version, model.format, self.lane.address
        )

    async def _begin_observing(self, model: LoadedModel) -> list[Observer]:
        """Start the log, the shadow and traces, as far as they are set."""
        who = {"slot": self.identity.slot, "bundle": model.version, "pod": self.identity.pod}
        observers: list[Observer] = []
        self._tracer = tracing_of(self._env, model.name, model.version, self.metrics)
        if self._tracer is not None:
            observers.append(self._tracer.observe)  # first: the others go on from its span
        if self._log_settings is not None:
            fields = [field.name for field in model.schema.fields]
            self._log = PredictionLog(self._log_settings, model.rules.log, who, self.metrics, fields)
            self._log.start()
            observers.append(self._log.observe)
        if self._shadow_settings is not None:
            keep = self._log.pair if self._log is not None else None
            self._shadow = Shadow(self._shadow_settings, model.schema.output, who, self.metrics, keep)
            await self._shadow.start()
            observers.append(self._shadow.observe)
        return observers

    # -------------------------------------------------------------------------------------------- down

    async def stop(self) -> None:
        """Say "not ready", take requests for the drain time, finish, and write out."""
        self.app.drain()
        if self.settings.drain_seconds:
            await asyncio.sleep(self.settings.drain_seconds)
        await self.end()

    async def end(self, *, at_once: bool = False) -> None:
        """Finish what is in flight (unless *at_once*), and write out; as often as it is called."""
        self.app.drain()
        await self.lane.stop(at_once=at_once)
        if self._grpc is not None:
            await self._grpc.stop(0.0 if at_once else self.settings.grace_seconds)
        if self._shadow is not None:
            await self._shadow.stop()
        if self._log is not None:
            await asyncio.to_thread(self._log.close)
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)
        self._watchdog.stop()
        self.guards.close()
        self.metrics.close()


def limits_of(env: Environment) -> Limits:
    """Read ``FAIRLEAD_LIMIT_BODY_BYTES``, ``_ROWS``, ``_ERRORS``, ``_BODY_SECONDS``. Raises ProjectError."""
    default = Limits()
    return Limits(
        body_bytes=env.whole("FAIRLEAD_LIMIT_BODY_BYTES", default.body_bytes, low=1),
        rows=env.whole("FAIRLEAD_LIMIT_ROWS", default.rows, low=1),
        errors=env.whole("FAIRLEAD_LIMIT_ERRORS", default.errors, low=1),
        body_seconds=env.number("FAIRLEAD_LIMIT_BODY_SECONDS", default.body_seconds, low=0.01),
    )
