"""``python -m fairlead.serve FOLDER --port 8080``: serve one model without a Bento.

Everything else is set by the environment, as in a Bento: see the ``from_environment`` of each part.
"""

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
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--drain", type=float, default=0.0, metavar="SECONDS", help="keep serving after SIGTERM"
    )
    parser.add_argument("--grpc-port", type=int, help="0 takes a free one (default: no gRPC)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    settings = {
        "FAIRLEAD_HOST": arguments.host,
        "FAIRLEAD_PORT": str(arguments.port),
        "FAIRLEAD_DRAIN_SECONDS": str(arguments.drain),
    }
    if arguments.grpc_port is not None:
        settings["FAIRLEAD_GRPC_PORT"] = str(arguments.grpc_port)
    try:
        run(arguments.folder, settings)
    except FairleadError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
