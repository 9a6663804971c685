"""A library: what runs inside the Bento, request to prediction.

In: a folder with a model file, ``schema.json`` and ``manifest.json``. Out: a raw ASGI application.

``loading``
    the folder to a :class:`~fairlead.serve.loading.LoadedModel`, every digest checked, warmed;
``backends``
    the model file to a function from encoded rows to answers, one module a format;
``app``
    routes, probes and what goes wrong; ``http`` the little HTTP it needs; ``metrics`` its counters;
``predict``, ``v2``
    the two ways to ask: named rows, and the Open Inference Protocol;
``service``, ``run``
    the two ways to run it: inside a Bento, and on uvicorn alone.

Does not belong here: pandas, scikit-learn (but in the skops back end), mlflow, pyarrow, kfp, pydantic on the
request path, and anything of fairlead but ``schema`` and ``errors``: these three are copied into every
bundle.
"""
