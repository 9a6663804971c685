"""Traffic and labels, kept: what the prediction log of every pod becomes once it leaves the pod.

In: the segments that :mod:`fairlead.serve.log.prediction_log` writes. Out: Parquet tables in time partitions, in which lost
records show as gaps, labels have found their predictions, and a person's rows can be deleted.

``segments``
    lines to records, torn ones counted; which sequence numbers are missing, per worker.
``tables``, ``partitions``
    records to tables of a fixed schema; which file a record belongs to, and which segments make a file.
``shipping``
    segments to files, each record once, whatever is killed when.
``labels``
    feedback joined to predictions: late, twice, in any order.
``retention``, ``deletion``
    what is deleted because of its age, and because a person asks for it.
``summary``, ``volume``
    what a log holds; what a log will weigh.
``target``
    what the modules above need of a place with files; ``fairlead.adapters.trees`` fulfils it.

Does not belong here: how requests are logged (``fairlead.serve``), and where files are (``fairlead.adapters``).
"""
