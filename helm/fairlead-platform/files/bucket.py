"""Make the store's bucket (the argument) if it is missing; the store may still be starting."""

from __future__ import annotations

import sys
import time

from place import s3
from pyarrow import fs

PATIENCE = 300
"""Seconds to wait for the store: time to pull its image and bind its volume."""


def make(bucket: str) -> str:
    """Make *bucket* unless it is there; returns what was found. Raises OSError with the store's own words."""
    store = s3()
    if store.get_file_info(bucket).type != fs.FileType.NotFound:
        return f"the bucket {bucket} is there"
    store.create_dir(bucket, recursive=False)
    return f"made the bucket {bucket}"


def main(bucket: str) -> int:
    """Try until it works or patience ends; returns the exit code."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            print(make(bucket))  # noqa: T201
        except OSError as error:
            if time.monotonic() > end:
                print(f"the bucket {bucket} could not be made: {error}", file=sys.stderr)  # noqa: T201
                return 1
            time.sleep(2)
        else:
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
