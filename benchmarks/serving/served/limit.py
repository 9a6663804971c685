"""The limit: bare uvicorn and ONNX Runtime. It reads the same body and gives the same answer, and checks nothing.

python limit.py MODEL_FOLDER VERSION PORT
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import orjson
import uvicorn

FIELDS = [f"f{number:02d}" for number in range(30)]


def session_of(folder: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(Path(folder) / "model.onnx", options, ["CPUExecutionProvider"])


def app_of(folder: str, version: str):
    """A raw ASGI application for one path."""
    run = session_of(folder).run

    async def app(scope, receive, send):
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] == "POST":
            rows = orjson.loads(body)["rows"]
            numbers = np.array([[row[name] for name in FIELDS] for row in rows], np.float32)
            answers = run(["answers"], {"numbers": numbers})[0].astype(np.float64).tolist()
            predictions = [
                {
                    "label": "yes" if yes >= 0.5 else "no",
                    "probability": yes,
                    "probabilities": {"no": no, "yes": yes},
                }
                for no, yes in answers
            ]
            content = orjson.dumps({"model": "benchmark", "version": version, "predictions": predictions})
        else:
            content = b"{}"
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            (b"x-request-id", b"1"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    folder, version, port = sys.argv[1:]
    uvicorn.run(
        app_of(folder, version), host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", lifespan="off",
        ws="none", access_log=False, log_level="warning", server_header=False, date_header=False,
    )  # fmt: skip
