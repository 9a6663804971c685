"""Raw rows to a dataset: checked, made uniform, split without leaks, described.

In: a :class:`~fairlead.records.Source` of raw rows, and a project with its data contract. Out: a frozen
:class:`~fairlead.records.Dataset`, named by its content, with the rows that were refused and the reason for each, a profile of
the training rows, and a page for people.

The rows are read in batches and never held together; what must be known about all of them (duplicates, shares, leaks) is
kept in mergeable summaries or in hash partitions on disk. ``ingest`` reads the source once, checks every row and writes
the good ones to a temporary file; ``survey`` looks at a few columns of it for what is dropped and where splits are cut;
``divide`` (or ``series``, for a forecast) writes the splits; ``leaks`` reads what was written.

Does not belong here: what a model makes of a column (``fairlead.schema`` encodes, ``fairlead.model`` learns), and where rows come
from or go to (``fairlead.adapters``).
"""
