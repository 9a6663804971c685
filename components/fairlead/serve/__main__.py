"""``python -m fairlead.serve FOLDER --port 3000``: serve one model without a Bento."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.serve.run import run


def main() -> int:
    """Parse the command line and serve; the exit code is that of ``fairlead.errors``."""
    parser = argparse.ArgumentParser(prog="python -m fairlead.serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with manifest.json")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--drain", type=float, default=0.0, metavar="SECONDS", help="keep serving after SIGTERM"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        run(arguments.folder, host=arguments.host, port=arguments.port, drain_seconds=arguments.drain)
    except FairleadError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
