"""Dataset to Candidate: search, train, evaluate, and judge a model by the project's gates.

In: a :class:`~fairlead.records.Dataset` folder and the project file. Out: a :class:`~fairlead.records.Candidate`, a folder with
a fitted pipeline that reads arrays, its schema (with the decision threshold), its evaluation and its gates.

``rows``, ``forecast``
    a split of the dataset as arrays; for forecast, series as rows.
``candidates``, ``preprocess``, ``space``
    what may be trained, how its features are prepared, and from where its parameters are drawn.
``folds``, ``search``, ``trials``
    cross-validation that respects time and group, and what came of each parameter set.
``fit``, ``baseline``, ``learning``
    the winner trained on all training rows, what it must beat, and whether more rows would help.
``threshold``, ``evaluate``, ``slices``, ``importance``, ``gates``
    how good it is, where it is not, and whether it may go on.
``figures``, ``page``
    the same for people.
``persist``, ``preflight``
    the folder on disk without pickle, and whether a project's candidates can be built and saved at all.
``stage``
    joins the above with a tracker and a champion, which it gets as arguments.

Does not belong here: reading or cleaning raw data (``fairlead.data``), exporting or serving a model (``fairlead.bundle``,
``fairlead.serve``), talking to MLflow or a registry (``fairlead.adapters``).
"""
