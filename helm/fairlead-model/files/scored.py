"""Asks the model for a prediction of its probe rows, and fails if it does not get one for each row.

Run by `helm test` in the image `tools`: scored.py URL FILE. A service that is just starting is asked again for a while; an
answer that is wrong is not.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SECONDS = 90
"""How long to ask again while nothing is ready: longer than a switch between slots, shorter than helm's patience."""


def main(url, file):
    """Print the predictions; exit with the reason if there are none."""
    body = Path(file).read_bytes()
    answer = json.loads(_asked(url, body))
    predictions = answer.get("predictions") if isinstance(answer, dict) else None
    wanted = len(json.loads(body)["rows"])
    if not isinstance(predictions, list) or len(predictions) != wanted or not all(predictions):
        sys.exit(f"{url} answered without {wanted} prediction(s): {json.dumps(answer)[:500]}")
    sys.stdout.write(f"{url} scored {wanted} row(s): {json.dumps(predictions)}\n")


def _asked(url, body):
    deadline = time.monotonic() + SECONDS
    while True:
        request = urllib.request.Request(url, body, _headers())  # noqa: S310 - the chart's own URL
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.read()
        except urllib.error.HTTPError as refusal:
            said = refusal.read()[:500].decode(errors="replace")
            if refusal.code not in (502, 503, 504):
                sys.exit(f"{url} answered {refusal.code}: {said}")
            trouble = f"{refusal.code} {said}"
        except OSError as error:
            trouble = str(error)
        if time.monotonic() > deadline:
            sys.exit(f"no answer from {url} in {SECONDS} s: {trouble}. Is a slot live?")
        time.sleep(2)


def _headers():
    """With the credential of internal calls, if there is one: the request is then no traffic, and needs no key."""
    file = os.environ.get("FAIRLEAD_INTERNAL_TOKEN_FILE")
    internal = (
        {"X-Fairlead-Internal": Path(file).read_text().strip(), "X-Fairlead-Route": "preview"} if file else {}
    )
    return {"Content-Type": "application/json", **internal}


if __name__ == "__main__":
    main(*sys.argv[1:])
