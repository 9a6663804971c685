"""Keys and certificates of one cluster, made new for each, and its administrator's token."""

from __future__ import annotations

import os
from pathlib import Path

from ..places import API_SERVICE_IP, NODE_IP, State
from ..processes import Word, run

SERVER_NAMES = (
    "IP:127.0.0.1",
    f"IP:{NODE_IP}",
    f"IP:{API_SERVICE_IP}",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)
_KEY = ("-newkey", "rsa:2048", "-nodes")
_TEN_YEARS = ("-days", "3650")


def make(state: State) -> None:
    """Write authority, server certificate, the key that signs ServiceAccount tokens, and the token."""
    state.pki.mkdir(parents=True)
    _openssl(
        state,
        "req",
        "-x509",
        *_KEY,
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        *_TEN_YEARS,
        "-subj",
        "/CN=cluster-ca",
    )
    _server_certificate(state)
    _openssl(state, "genrsa", "-out", "sa.key", "2048")
    _openssl(state, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    token = os.urandom(16).hex()
    _write_secret(state.pki / "token", token)
    _write_secret(state.pki / "tokens.csv", f"{token},admin,admin,system:masters\n")


def _server_certificate(state: State) -> None:
    (state.pki / "apiserver.ext").write_text(f"subjectAltName={','.join(SERVER_NAMES)}\n")
    _openssl(
        state,
        "req",
        *_KEY,
        "-keyout",
        "apiserver.key",
        "-out",
        "apiserver.csr",
        "-subj",
        "/CN=kube-apiserver",
    )
    _openssl(state, "x509", "-req", "-in", "apiserver.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "apiserver.crt", *_TEN_YEARS, "-extfile", "apiserver.ext")  # fmt: skip


def _openssl(state: State, *words: Word) -> None:
    run("openssl", *words, cwd=state.pki)


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
