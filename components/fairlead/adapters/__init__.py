"""The only I/O: what stages are handed to reach the outside world.

In: :class:`Settings` (from the environment). Out: objects that fulfil the protocols of ``fairlead.records``: sources of
rows, the MLflow tracker and registry, the content-addressed store, the Bento builder. Third-party clients are imported
inside the adapter that needs them; their errors become fairlead's errors here and nowhere else.

This module imports nothing, so that the command line can use a light adapter without paying for the heavy ones.

Does not belong here: decisions. An adapter does what it is told, or says why it cannot.
"""
