"""How many threads arithmetic libraries use in a task."""

from __future__ import annotations

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_THREAD_LIMIT"),
    "1",
)
"""One a task, wherever it runs: results do not depend on the number of cores."""
