"""Candidate to Bundle: export with a parity gate, build the Bento, name it by digest, register it.

In: a :class:`~fairlead.records.Candidate` folder, a trained model that passed its gates. Out: a
:class:`~fairlead.records.Bundle`, a Bento that holds the model in the first format that answers as the trained model does
(ONNX, treelite, skops; never pickle), its schema and its reference profile, with the evidence beside it.

``exports``
    the formats in order, each tried until one agrees; ``to_onnx``, ``to_treelite`` and ``to_skops`` write them,
    ``canonical`` makes their bytes depend on nothing but the model.
``parity``, ``hard_rows``, ``thresholds``
    whether two models answer alike, and the rows on which that is asked.
``digest``, ``layout``, ``verify``
    what a bundle is called, which files it has, and whether they are still what they were.
``compress``
    smaller variants of the model, measured and judged, if the project asks for them.
``accelerator``
    what TensorRT and Triton would make of the graph.
``stage``
    joins the above with a Bento builder, a store, a tracker and a registry, which it gets as arguments.

Does not belong here: training, judging a model, answering requests (``fairlead.serve``, which is only copied into the
bundle), BentoML itself (``fairlead.adapters.bentos``).
"""
