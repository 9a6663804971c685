"""A library: what runs inside the Bento, request to prediction.

In: a folder with a model file, ``schema.json``, ``serving.json`` and ``manifest.json``. Out: a server that answers for it.

``loading``, ``rules``
    the folder to a :class:`~fairlead.serve.loading.LoadedModel`, every digest checked, warmed; what travels with it;
``backends``, ``batching``, ``batched``
    the model file to a function from encoded rows to answers, one module a format; requests scored together;
``environment``, ``assembly``
    the settings of a deployment; all parts put together by them, and taken down in order;
``lane``, ``app``, ``routes``, ``http``
    the server; paths, probes and what goes wrong; which paths a model answers; the little HTTP that needs;
``guards``
    who may ask, how much, and for how long;
``predict``, ``explain``, ``feedback``, ``v2``, ``graphql``
    the ways to ask: named rows, contributions, labels, the Open Inference Protocol over HTTP and gRPC, GraphQL;
``openapi``, ``page``
    what tells of them, for programs and for people;
``metrics``, ``log``, ``shadow``, ``tracing``
    what is told of requests after they were answered;
``service``, ``run``
    the two ways to run it: inside a Bento, and without.

Does not belong here: pandas, scikit-learn (but in the skops back end), mlflow, pyarrow, kfp, pydantic on the
request path, and anything of fairlead but ``schema``, ``errors`` and ``telemetry``, which are copied into every
bundle with this package. What only some deployments need (gRPC, GraphQL, tokens, traces) is imported where it is
switched on.
"""
