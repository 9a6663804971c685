"""Smaller variants of a trained model, each with a measured price.

- :mod:`~fairlead.bundle.compress.variants`: what a variant is, and which ones the project's methods give
- :mod:`~fairlead.bundle.compress.prune`, :mod:`~fairlead.bundle.compress.vocabulary`: parts of a fitted model left out
- :mod:`~fairlead.bundle.compress.distil`: a small model trained on the answers of the large one
- :mod:`~fairlead.bundle.compress.quantise`: an ONNX graph in 8 bits
- :mod:`~fairlead.bundle.compress.measure`: bytes, time, metrics and money, on the same rows in the same way
- :mod:`~fairlead.bundle.compress.choose`: which one is served, by the project's rule
- :mod:`~fairlead.bundle.compress.adopt`: the candidate as it is after that
- :mod:`~fairlead.bundle.compress.table`: all of it for people
- :mod:`~fairlead.bundle.compress.trial`: these in their order, for the stage
"""
