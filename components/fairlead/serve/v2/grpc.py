"""The protocol over gRPC, with the standard health and reflection services, in the event loop of the lane.

=====================  =======================================================================================
``ServerLive``         true while the process runs
``ServerReady``        what ``/readyz`` says; ``ModelReady`` likewise, NOT_FOUND for another model
``ServerMetadata``     name, version, extensions
``ModelMetadata``      tensors; UNAVAILABLE while the model is loading
``ModelInfer``         raw contents are answered with raw contents, typed ones with typed ones
``grpc.health.v1``     SERVING while ready; ``Watch`` tells of a change within a quarter of a second
reflection             of all of these, for ``grpcurl`` and its like
=====================  =======================================================================================

A call that fails has a status (:data:`STATUS`) and a text, the one that HTTP has as ``error``. Every call
returns ``x-request-id`` in its trailing metadata. Messages above the limit of a body are RESOURCE_EXHAUSTED.

One import of gRPC takes a tenth of a second and 10 MB, so this module is imported only where a port is set.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from fairlead.errors import ServiceError
from fairlead.serve.guards.admission import INLINE_BYTES
from fairlead.serve.guards.guards import Guards
from fairlead.serve.http import Answer, Header, Limits, Refused, Request, Scored
from fairlead.serve.loading import LoadedModel
from fairlead.serve.v2.messages import Inference
from fairlead.serve.v2.proto import open_inference_pb2 as messages
from fairlead.serve.v2.rest import SERVER
from fairlead.serve.v2.tensors import Signature

logger = logging.getLogger("fairlead.serve")

SERVICE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"

STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""HTTP status to that of gRPC; the counters keep the former, so that both ways in are one figure."""

TEXT_LENGTH = 2000
"""A status text travels as a header, and clients take 8 KiB of headers."""
WATCH_SECONDS = 0.25
"""So often a watched health is looked at."""
GRPC_TYPE = b"application/grpc"

Admit = Callable[[list[Header], str], str]
"""Headers and endpoint to the caller's name. Raises Refused."""


class Host(Protocol):
    """What is the same for every way in: :class:`fairlead.serve.app.App`."""

    metrics: Any
    guards: Guards

    @property
    def ready(self) -> bool:
        """Whether traffic should be sent here."""

    def identify(self, given: bytes | None) -> bytes:
        """The request's name: the client's own if it is fit, or a new one."""

    def observe(self, request: Request, endpoint: str, answer: Answer, started: float) -> None:
        """Tell the counters, and whoever keeps what was scored."""


async def start(
    host: Host,
    port: int,
    *,
    address: str = "127.0.0.1",
    limits: Limits = Limits(),  # noqa: B008 - frozen
    admit: Admit | None = None,
    share_port: bool = False,
) -> Server:
    """Listen for gRPC in the running event loop.

    Args:
        host: The application.
        port: 0 takes a free one.
        address: Interface to listen on.
        limits: As those of the application.
        admit: Asked before any call of the protocol that needs a model, if given.
        share_port: Whether several processes listen on the port, the kernel handing out connections.

    Raises:
        ServiceError: The port cannot be had.
    """
    server = Server(host, limits, admit, share_port=share_port)
    await server.listen(address, port)
    return server


class Server:
    """A gRPC server of one model."""

    def __init__(self, host: Host, limits: Limits, admit: Admit | None, *, share_port: bool) -> None:
        self.address = ""
        """``HOST:PORT`` once it listens."""
        self._calls = _Calls(host, limits, admit)
        self._health = _Health(host)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(share_port)),
            ]
        )
        self._server.add_generic_rpc_handlers((_handlers(self._calls), self._health.handlers()))
        _reflect(self._server)

    async def listen(self, address: str, port: int) -> None:
        """Take calls. Raises ServiceError."""
        interface = f"[{address}]" if ":" in address else address
        try:
            port = self._server.add_insecure_port(f"{interface}:{port}")
        except RuntimeError as cause:
            raise ServiceError(
                f"cannot listen for gRPC on {interface}:{port}",
                hint="Choose another port (FAIRLEAD_GRPC_PORT, or --grpc-port); 0 takes a free one.",
            ) from cause
        self.address = f"{interface}:{port}"
        await self._server.start()

    def attach(self, model: LoadedModel) -> None:
        """Begin to answer for *model*, which is loaded and warmed."""
        self._calls.attach(model)

    async def stop(self, grace: float) -> None:
        """Take no new calls (they are UNAVAILABLE), let those in flight finish for *grace* seconds, and end."""
        self._health.close()
        await self._server.stop(grace)


def _handlers(calls: _Calls) -> grpc.GenericRpcHandler:
    """Handlers of raw bytes: a message is parsed in the call, where its errors and its size are known."""
    work: dict[str, _Method] = {
        "ServerLive": calls.server_live,
        "ServerReady": calls.server_ready,
        "ModelReady": calls.model_ready,
        "ServerMetadata": calls.server_metadata,
        "ModelMetadata": calls.model_metadata,
        "ModelInfer": calls.model_infer,
    }
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(calls.method(f"grpc {name}", method))
        for name, method in work.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


_Method = Callable[[Request], Answer | Awaitable[Answer]]


class _Calls:
    """The calls of the protocol."""

    def __init__(self, host: Host, limits: Limits, admit: Admit | None) -> None:
        self._host = host
        self._limits = limits
        self._admit = admit
        self._signature: Signature | None = None
        self._inference: Inference | None = None

    def attach(self, model: LoadedModel) -> None:
        self._signature = Signature(model, self._limits)
        self._inference = Inference(model, self._limits)

    def method(self, endpoint: str, work: _Method) -> Callable[[bytes, Any], Awaitable[bytes]]:
        """*work* with all that is the same for every call: name, admission, counters, errors."""
        host, admit = self._host, self._admit

        async def call(body: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            started = time.perf_counter()
            headers = _headers(context)
            identity = host.identify(dict(headers).get(b"x-request-id"))
            request = Request(body, headers, identity.decode(), endpoint)
            text = ""
            host.metrics.enter()
            try:
                if admit is not None:
                    request.caller = admit(headers, endpoint)
                answer = work(request)
                if not isinstance(answer, Answer):
                    answer = await answer
            except Refused as refusal:
                answer = refusal.answer()
                text = str(refusal.content["error"])
            except asyncio.CancelledError:
                host.observe(request, endpoint, Answer(499, b""), started)  # the client went away
                raise
            except Exception:
                logger.exception("request %s to %s failed", request.identity, endpoint)
                answer, text = Answer(500, b""), f"internal error; the request is {request.identity}"
            finally:
                host.metrics.leave()
            context.set_trailing_metadata((("x-request-id", request.identity),))
            host.observe(request, endpoint, answer, started)
            if answer.status != 200:
                await context.abort(STATUS.get(answer.status, grpc.StatusCode.INTERNAL), text[:TEXT_LENGTH])
            return answer.body

        return call

    # ------------------------------------------------------------------------------------------ methods

    def server_live(self, _request: Request) -> Answer:
        return _answer(messages.ServerLiveResponse(live=True))

    def server_ready(self, _request: Request) -> Answer:
        return _answer(messages.ServerReadyResponse(ready=self._host.ready))

    def server_metadata(self, _request: Request) -> Answer:
        return _answer(messages.ServerMetadataResponse(**SERVER))

    def model_ready(self, request: Request) -> Answer:
        asked = _parsed(messages.ModelReadyRequest, request.body)
        if self._signature is not None:
            self._signature.check_is(asked.name, asked.version)
        return _answer(messages.ModelReadyResponse(ready=self._host.ready))

    def model_metadata(self, request: Request) -> Answer:
        asked = _parsed(messages.ModelMetadataRequest, request.body)
        if self._signature is None:
            raise _loading()
        self._signature.check_is(asked.name, asked.version)
        stated = self._signature.metadata()
        stated.pop("parameters", None)  # the message has no place for them
        return _answer(messages.ModelMetadataResponse(**stated))

    def model_infer(self, request: Request) -> Answer | Awaitable[Answer]:
        if self._inference is None:
            raise _loading()
        if len(request.body) > INLINE_BYTES:
            return self._infer_aside(self._inference, request)
        return _scored(self._inference(request.body))

    async def _infer_aside(self, inference: Inference, request: Request) -> Answer:
        return _scored(await self._host.guards.admission.run(inference, request.body))


def _answer(message: Message) -> Answer:
    return Answer(200, message.SerializeToString(), GRPC_TYPE)


def _scored(result: tuple[bytes, Scored]) -> Answer:
    return Answer(200, result[0], GRPC_TYPE, scored=result[1])


def _loading() -> Refused:
    return Refused(503, "the model is loading")


def _parsed(kind: Any, body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise Refused(400, f"the message is not a {kind.DESCRIPTOR.name}") from None


def _headers(context: grpc.aio.ServicerContext[Any, Any]) -> list[Header]:
    """The call's metadata as HTTP has it; a value is text, or bytes where its name ends in ``-bin``."""
    return [
        (key.encode(), value if isinstance(value, bytes) else value.encode())
        for key, value in context.invocation_metadata() or ()
    ]


class _Health:
    """The standard health service: all of the server, or the protocol's service, which is the same here."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._closing = asyncio.Event()

    def handlers(self) -> grpc.GenericRpcHandler:
        """What answers its calls."""
        read, write = (
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, read, write),
        }
        return grpc.method_handlers_generic_handler(HEALTH, methods)

    def close(self) -> None:
        """Not serving any more; ends what watches, which would go on for ever."""
        self._closing.set()

    async def _check(self, request: Any, context: Any) -> Any:
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service[:100]}")
        return self._now()

    async def _watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        told = None
        while True:
            now = self._now(known=request.service in ("", SERVICE))
            if now != told:
                yield now
                told = now
            if self._closing.is_set():
                return
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            return

    def _now(self, *, known: bool = True) -> Any:
        status = health_pb2.HealthCheckResponse
        if not known:
            return status(status=status.SERVICE_UNKNOWN)
        ready = self._host.ready and not self._closing.is_set()
        return status(status=status.SERVING if ready else status.NOT_SERVING)


def _reflect(server: grpc.aio.Server) -> None:
    """Tell clients which services and messages there are. Ours are in a pool of their own, so the others join it."""
    pool = messages.DESCRIPTOR.pool
    for file in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
        pool.AddSerializedFile(file.serialized_pb)
    reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server, pool=pool)
