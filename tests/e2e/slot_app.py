"""A stand-in for a served model: the standard library only, so that a pod is ready in a second.

``VERSION`` is what it calls itself. ``MODE`` is how it misbehaves: ``nan`` answers with no number, ``error`` with status 500,
``unready`` is never ready, ``crash`` ends at once. ``START`` is how many seconds it takes to be ready.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION, MODE = os.environ.get("VERSION", "?"), os.environ.get("MODE", "ok")
READY_AT = time.monotonic() + float(os.environ.get("START", "0"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one packet for head and body: two would wait for each other's acknowledgement

    def do_GET(self):
        ready = MODE != "unready" and time.monotonic() >= READY_AT
        if self.path == "/readyz":
            return self.answer(200 if ready else 503, {"ready": ready})
        return self.answer(200, {"version": VERSION})

    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["rows"]
        if MODE == "error":
            return self.answer(500, {"error": "told to"})
        value = float("nan") if MODE == "nan" else 1.5
        return self.answer(200, {"version": VERSION, "predictions": [{"value": value} for _ in rows]})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if MODE == "crash":
    sys.exit(3)
server = Server(("", 3000), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", VERSION, flush=True)
server.serve_forever(poll_interval=0.05)
time.sleep(0.2)  # let requests in hand finish
