"""The Open Inference Protocol, version 2: one input tensor a schema field, one row an index.

============================  ============================================================================
inputs                        shape [n] or [n, 1]: number FP64, integer INT64, boolean BOOL; category, text
                              and datetime (ISO 8601) BYTES, written as strings
inputs of a forecast          ``key`` BYTES [n], ``at`` BYTES [n], ``history`` FP64 [n, window],
                              ``step`` INT64 [n]
outputs, classification       ``label`` BYTES [n], ``probability`` FP64 [n, classes]
outputs, regression/forecast  ``value`` FP64 [n]
outputs, clustering           ``cluster`` INT64 [n], ``score`` FP64 [n, clusters]
============================  ============================================================================

Any numeric datatype is taken for numbers; FP16 only in binary, since neither JSON nor typed contents have a
form for it. An input that is left out is missing in every row; one missing value is ``null`` in JSON, NaN in
binary. The schema says where that is allowed. ``parameters`` that the server does not know are ignored, as the
protocol has it.

Over HTTP (:mod:`~fairlead.serve.v2.rest`) values are JSON or binary (:mod:`~fairlead.serve.v2.binary`); errors
are ``{"error": text}`` with status 400, 404 for an unknown model or version. Over gRPC
(:mod:`~fairlead.serve.v2.grpc`) they are a status and a text. This package imports no gRPC.
"""

from fairlead.serve.v2.rest import SERVER, ModelProtocol, routes_of, server_metadata

__all__ = ["SERVER", "ModelProtocol", "routes_of", "server_metadata"]
