"""A small HTTP server for tests of the cluster itself, and the objects that run it.

It says which version and which pod it is; `/burn` uses 50 ms of processor time. Its code comes from a ConfigMap, so no
image has to be built: any with Python will do.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

PORT = 8000
SERVER = """
import os, signal, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one packet for head and body: two would wait for each other's acknowledgement

    def do_GET(self):
        end = time.thread_time() + (0.05 if self.path == "/burn" else 0)
        while time.thread_time() < end:
            pass
        body = f"{os.environ['VERSION']} {os.environ['HOSTNAME']}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

server = Server(("", 8000), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
time.sleep(0.2)  # requests in hand finish
"""


def code() -> Object:
    """The ConfigMap with the server."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "echo"},
        "data": {"server.py": SERVER},
    }


def deployment(name: str, version: str, image: str, *, replicas: int = 1, cpu: str = "20m") -> Object:
    """A Deployment that passes the Pod Security profile `restricted` and stops without losing a request."""
    container = {
        "name": "echo",
        "image": image,
        "command": ["python3", "/code/server.py"],
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": {"cpu": cpu, "memory": "32Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5},
        "lifecycle": {
            "preStop": {"sleep": {"seconds": 3}}
        },  # serves on while proxies learn that it is leaving
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "code", "mountPath": "/code"}],
    }
    pod = {
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "code", "configMap": {"name": "echo"}}],
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(name: str) -> Object:
    """The Service of the Deployment *name*."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def route(name: str, host: str, gateway: Object, weights: dict[str, int]) -> Object:
    """A route that shares the requests for *host* among Services by weight."""
    backends = [{"name": service_, "port": 80, "weight": weight} for service_, weight in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [gateway], "hostnames": [host], "rules": [{"backendRefs": backends}]},
    }
