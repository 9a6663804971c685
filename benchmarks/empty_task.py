"""The empty task of ``local_runner.py``: it imports what a stage imports, and does nothing."""

from kfp import dsl


@dsl.component(base_image="python", install_kfp_package=False)
def empty(number: int) -> int:
    """Import what a stage imports, and do nothing."""
    import mlflow
    import mlflow.data.pandas_dataset  # noqa: F401
    import optuna  # noqa: F401
    import pandas  # noqa: F401, ICN001

    import fairlead.adapters.tracking
    import fairlead.model.stage  # noqa: F401

    return number + 1
