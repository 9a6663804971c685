"""Tokens: what is taken, what is not, and where the keys come from."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.access import access_of
from fairlead.serve.guards.access.public_keys import KeyFile, KeySet, parse_pem, parse_set
from fairlead.serve.guards.access.tokens import BadToken, KeysNotHere, LacksClaim, Tokens, TokenSettings
from fairlead.serve.http import Refused

NOW = 1_700_000_000
GOOD = {"iss": "https://issuer.example", "aud": "fraud", "sub": "shop", "exp": NOW + 600}
PRIVATE = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def pem_of(private: Any) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem_of(private: Any) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


PEM = pem_of(PRIVATE)


def token_of(private: Any = PRIVATE, algorithm: str = "ES256", headers: Any = None, **claims: Any) -> bytes:
    content = {name: value for name, value in (GOOD | claims).items() if value is not None}
    return jwt.encode(content, private, algorithm, headers=headers).encode()


def settings(**changes: Any) -> TokenSettings:
    return TokenSettings(**{
        "key_file": None, "jwks_url": "", "algorithm": "ES256", "issuer": GOOD["iss"], "audience": "fraud",
        "claims": {}, "leeway": 30.0,
    } | changes)  # fmt: skip


class OneKey:
    """What a key file gives."""

    def __init__(self, pem: bytes = PEM, algorithm: str = "ES256") -> None:
        self.found = parse_pem(pem, algorithm)
        self.asked = 0

    def key(self, _kid: object) -> Any:
        self.asked += 1
        return self.found

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _at(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT looks at the clock itself."""
    import datetime as dt

    class Fixed(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return dt.datetime.fromtimestamp(NOW, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Fixed)


def tokens_with(**changes: Any) -> Tokens:
    return Tokens(settings(**changes), OneKey(), clock=lambda: NOW)


# ------------------------------------------------------------------------------------------------ what is taken


def test_a_good_token_names_its_subject() -> None:
    assert tokens_with().subject(token_of()) == "shop"


@pytest.mark.parametrize(
    "private",
    [rsa.generate_private_key(65537, 2048), PRIVATE, ed25519.Ed25519PrivateKey.generate()],
    ids=["RS256", "ES256", "EdDSA"],
)
def test_algorithms_with_a_public_key_are_taken(private: Any, request: pytest.FixtureRequest) -> None:
    algorithm = request.node.callspec.id
    tokens = Tokens(settings(algorithm=algorithm), OneKey(pem_of(private), algorithm), clock=lambda: NOW)
    assert tokens.subject(token_of(private, algorithm)) == "shop"


@pytest.mark.parametrize(
    "claims",
    [{"exp": NOW - 20}, {"nbf": NOW + 20}, {"aud": ["other", "fraud"]}],
    ids=["just expired", "just not valid", "one of several audiences"],
)
def test_clocks_may_differ_a_little_and_audiences_may_be_several(claims: Any) -> None:
    assert tokens_with().subject(token_of(**claims)) == "shop"


# -------------------------------------------------------------------------------------------- what is not taken


def part(content: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


def signed_with_the_public_key() -> bytes:
    """The classic: the public key, which everybody has, as the secret of an HMAC."""
    signing = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(GOOD)
    mac = hmac.new(PEM, signing, hashlib.sha256).digest()
    return signing + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")


GOOD_TOKEN = token_of()
HEAD, BODY, SIGNATURE = GOOD_TOKEN.split(b".")
BAD = {
    "expired": (token_of(exp=NOW - 31), "has expired"),
    "not yet valid": (token_of(nbf=NOW + 60), "not valid yet"),
    "issued in the future": (token_of(iat=NOW + 600), "not valid yet"),
    "of another issuer": (token_of(iss="https://evil.example"), "is not valid"),
    "for another audience": (token_of(aud="other"), "is not valid"),
    "no audience": (token_of(aud=None), "is not valid"),
    "no issuer": (token_of(iss=None), "is not valid"),
    "no subject": (token_of(sub=None), "is not valid"),
    "no expiry": (token_of(exp=None), "is not valid"),
    "expiry not a number": (b".".join([HEAD, part(GOOD | {"exp": "soon"}), SIGNATURE]), "is not valid"),
    "expiry infinite": (b".".join([HEAD, BODY[:-8] + b"AAAAAAAA", SIGNATURE]), "is not valid"),
    "signed by another key": (token_of(OTHER), "is not valid"),
    "changed after it was signed": (b".".join([HEAD, part(GOOD | {"sub": "admin"}), SIGNATURE]), "is not valid"),
    "not signed": (b".".join([part({"alg": "none"}), part(GOOD), b""]), "is not valid"),
    "signed with none": (b".".join([part({"alg": "None"}), part(GOOD), SIGNATURE]), "is not valid"),
    "signed with the public key": (signed_with_the_public_key(), "is not valid"),
    "signed by another algorithm": (token_of(ec.generate_private_key(ec.SECP384R1()), "ES384"), "is not valid"),
    "an empty signature": (b".".join([HEAD, BODY, b""]), "is not valid"),
    "a signature cut short": (GOOD_TOKEN[:-10], "is not valid"),
    "a key of its own in the header": (
        token_of(OTHER, headers={"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}), "is not valid",
    ),
    "no base64": (b"!!.??.**", "is not valid"),
    "empty parts": (b"..", "is not valid"),
    "a header that is a list": (b".".join([part([]), BODY, SIGNATURE]), "is not valid"),
    "a header nested deeply": (
        base64.urlsafe_b64encode(b"[" * 3000 + b"]" * 3000).rstrip(b"=") + b"." + BODY + b"." + SIGNATURE,
        "is not valid",
    ),
    "a key id that is a list": (b".".join([part({"alg": "ES256", "kid": [1]}), BODY, SIGNATURE]), "is not valid"),
    "very long": (b"a" * 9000, "is too long"),
    "not ASCII": (b"\xff\xfe.\xff.\xff", "is not valid"),
    "NULs": (b"\x00.\x00.\x00", "is not valid"),
}  # fmt: skip


@pytest.mark.parametrize(("token", "said"), BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(token: bytes, said: str) -> None:
    with pytest.raises(BadToken, match=said):
        tokens_with().subject(token)


@pytest.mark.parametrize(
    ("claims", "enough"),
    [
        ({"scope": "predict explain"}, True),
        ({"scope": ["explain", "predict"]}, True),
        ({"scope": "predictable"}, False),
        ({"scope": ["predict explain"]}, False),
        ({"scope": 1}, False),
        ({}, False),
    ],
    ids=["words", "list", "a longer word", "a list of words", "a number", "not there"],
)
def test_a_token_may_have_to_say_more(claims: dict[str, Any], enough: bool) -> None:
    tokens = tokens_with(claims={"scope": "predict"})
    if enough:
        assert tokens.subject(token_of(**claims)) == "shop"
    else:
        with pytest.raises(LacksClaim):
            tokens.subject(token_of(**claims))


# -------------------------------------------------------------------------------------------------- remembered


def test_a_good_token_is_verified_once() -> None:
    keys, token = OneKey(), token_of()
    tokens = Tokens(settings(), keys, clock=lambda: NOW)
    assert [tokens.subject(token) for _ in range(3)] == ["shop"] * 3
    assert keys.asked == 1


def test_a_bad_token_is_not_remembered_as_good() -> None:
    tokens = tokens_with()
    for _ in range(2):
        with pytest.raises(BadToken):
            tokens.subject(token_of(OTHER))


@pytest.mark.parametrize(("lifetime", "after"), [(10, 41), (3600, 301)], ids=["expiry", "five minutes"])
def test_a_remembered_token_is_verified_again_after(lifetime: int, after: int) -> None:
    now, keys = [float(NOW)], OneKey()
    tokens = Tokens(settings(), keys, clock=lambda: now[0])
    token = token_of(exp=NOW + lifetime)
    tokens.subject(token)
    now[0] += after - 2
    tokens.subject(token)
    assert keys.asked == 1
    now[0] += 2
    tokens.subject(token)  # PyJWT's own clock stands still here
    assert keys.asked == 2


def test_remembered_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.serve.guards.access.tokens.REMEMBERED", 2)
    keys = OneKey()
    tokens = Tokens(settings(), keys, clock=lambda: NOW)
    all_tokens = [token_of(sub=name) for name in "abc"]
    for token in [*all_tokens, all_tokens[0]]:
        tokens.subject(token)
    assert keys.asked == 4


def test_a_repeated_token_costs_microseconds() -> None:
    tokens, token = tokens_with(), token_of()
    tokens.subject(token)
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            tokens.subject(token)
        rounds.append((time.perf_counter() - started) / 1000)
    assert min(rounds) < 20e-6


# -------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("content", "algorithm", "said"),
    [
        (private_pem_of(PRIVATE), "ES256", "is a private key"),
        (PEM, "RS256", "is no public key for RS256"),
        (b"", "ES256", "is no public key"),
        (b"secret", "ES256", "is no public key"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "RS256", "1024 bits, must have 2048"),
    ],
    ids=["private", "another kind", "empty", "no PEM", "too short"],
)
def test_a_file_that_is_no_fitting_public_key_is_refused(content: bytes, algorithm: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_pem(content, algorithm)


def jwk(private: Any, kid: str | None, **more: Any) -> dict[str, Any]:
    document = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return document | ({"kid": kid} if kid else {}) | more


def test_a_key_set_gives_the_keys_that_can_verify() -> None:
    keys = [
        jwk(PRIVATE, "a"), jwk(OTHER, "b", alg="ES256", use="sig"), jwk(OTHER, "enc", use="enc"),
        jwk(OTHER, "es384", alg="ES384"), {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}, {"kty": "EC"}, 7,
    ]  # fmt: skip
    assert sorted(map(str, parse_set(json.dumps({"keys": keys}).encode(), "ES256"))) == ["a", "b"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b"<html>", b'{"keys": [{}]}']
)
def test_a_key_set_without_a_key_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_set(content, "ES256")


class Issuer:
    """A server that publishes a key set."""

    def __init__(self) -> None:
        self.content = b""
        self.status = 200
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.may_answer.wait(5)
                self.send_response(outer.status)
                self.send_header("location", "/elsewhere")
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, *keys: dict[str, Any]) -> None:
        self.content = json.dumps({"keys": keys}).encode()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.may_answer.set()
    issuer.server.shutdown()
    issuer.server.server_close()


def eventually(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if found := check():
                return found
        except KeysNotHere:
            pass
        time.sleep(0.01)
    pytest.fail("it did not come true in 5 s")


def test_the_issuers_keys_are_fetched_without_waiting_for_them(issuer: Issuer) -> None:
    issuer.publish(jwk(PRIVATE, "a"))
    issuer.may_answer.clear()
    keys = KeySet(issuer.url, "ES256")
    with pytest.raises(KeysNotHere):
        keys.key("a")
    issuer.may_answer.set()
    found = eventually(lambda: keys.key("a"))
    assert keys.key(None) is found
    keys.close()


def test_an_unknown_key_id_fetches_the_set_again_at_most_once_a_minute(issuer: Issuer) -> None:
    now = [0.0]
    issuer.publish(jwk(PRIVATE, "a"))
    keys = KeySet(issuer.url, "ES256", clock=lambda: now[0])
    eventually(lambda: keys.key("a"))
    issuer.publish(jwk(PRIVATE, "a"), jwk(OTHER, "b"))
    assert [keys.key("b") for _ in range(50)] == [None] * 50
    assert issuer.asked == 1
    now[0] = 61.0
    eventually(lambda: keys.key("b"))
    assert issuer.asked == 2
    assert keys.key(["b"]) is None  # a token may say anything
    keys.close()


@pytest.mark.parametrize("failure", ["500", "redirect", "nonsense", "endless"])
def test_a_failing_fetch_keeps_the_keys_and_is_counted(issuer: Issuer, failure: str) -> None:
    now, broken = [0.0], []
    issuer.publish(jwk(PRIVATE, "a"))
    keys = KeySet(issuer.url, "ES256", broken=lambda: broken.append(1), clock=lambda: now[0])
    found = eventually(lambda: keys.key("a"))
    issuer.status = {"500": 500, "redirect": 302}.get(failure, 200)
    if failure == "nonsense":
        issuer.content = b"<html>"
    if failure == "endless":
        issuer.content = b" " * 2**21 + issuer.content
    now[0] = 61.0
    with pytest.raises(KeysNotHere):
        keys.key("b")
    eventually(lambda: broken)
    assert keys.key("a") is found
    keys.close()


def test_without_any_key_yet_a_token_cannot_be_told_good_or_bad(issuer: Issuer) -> None:
    issuer.status = 500
    broken: list[int] = []
    keys = KeySet(issuer.url, "ES256", broken=lambda: broken.append(1))
    eventually(lambda: broken)
    with pytest.raises(KeysNotHere):
        keys.key("a")
    keys.close()


def test_a_key_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.serve.guards.access.watched.CHECK_SECONDS", 0.0)
    file = tmp_path / "key.pem"
    file.write_bytes(PEM)
    tokens = Tokens(settings(), KeyFile(file, "ES256"), clock=lambda: NOW)
    assert tokens.subject(token_of()) == "shop"
    file.write_bytes(pem_of(OTHER))
    assert tokens.subject(token_of(OTHER, sub="bank")) == "bank"


# ---------------------------------------------------------------------------------------------------- settings

SET = {
    "FAIRLEAD_JWT_ALGORITHM": "ES256",
    "FAIRLEAD_JWT_ISSUER": str(GOOD["iss"]),
    "FAIRLEAD_JWT_AUDIENCE": "fraud",
    "FAIRLEAD_JWT_JWKS_URL": "https://issuer.example/keys",
}
WRONG = {
    "none": ({"FAIRLEAD_JWT_ALGORITHM": "none"}, "FAIRLEAD_JWT_ALGORITHM is 'none'"),
    "a shared secret": ({"FAIRLEAD_JWT_ALGORITHM": "HS256"}, "FAIRLEAD_JWT_ALGORITHM is 'HS256'"),
    "no algorithm": ({"FAIRLEAD_JWT_ALGORITHM": ""}, "FAIRLEAD_JWT_ALGORITHM is ''"),
    "two algorithms": ({"FAIRLEAD_JWT_ALGORITHM": "ES256,RS256"}, "FAIRLEAD_JWT_ALGORITHM is 'ES256,RS256'"),
    "no issuer": ({"FAIRLEAD_JWT_ISSUER": ""}, "FAIRLEAD_JWT_ISSUER is not set"),
    "no audience": ({"FAIRLEAD_JWT_AUDIENCE": ""}, "FAIRLEAD_JWT_AUDIENCE is not set"),
    "an address without TLS": (
        {"FAIRLEAD_JWT_JWKS_URL": "http://issuer.example/keys"},
        "must begin with https://",
    ),
    "a file as an address": ({"FAIRLEAD_JWT_JWKS_URL": "file:///etc/passwd"}, "must begin with https://"),
    "a host that only begins well": (
        {"FAIRLEAD_JWT_JWKS_URL": "http://localhost.evil/"},
        "must begin with https://",
    ),
    "a claim without a value": ({"FAIRLEAD_JWT_CLAIMS": "scope"}, "must be 'claim=value, …'"),
    "a file that is not there": ({"FAIRLEAD_JWT_KEY_FILE": "/nowhere"}, "must be a file"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_setting_that_is_wrong_is_named(change: dict[str, str], said: str) -> None:
    with pytest.raises(ProjectError, match=said.replace("…", ".")):
        TokenSettings.from_environment(Environment(SET | change))


def test_a_key_file_and_an_address_together_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(PEM)
    with pytest.raises(ProjectError, match="are both set"):
        TokenSettings.from_environment(Environment(SET | {"FAIRLEAD_JWT_KEY_FILE": str(file)}))


def test_settings_are_read() -> None:
    found = TokenSettings.from_environment(
        Environment(SET | {"FAIRLEAD_JWT_CLAIMS": "scope=predict, tier=gold"})
    )
    assert found == settings(
        jwks_url="https://issuer.example/keys", claims={"scope": "predict", "tier": "gold"}, leeway=30.0
    )


# ------------------------------------------------------------------------------------------- as a whole


class Uncounted:
    def counter(self, name: str, help: str, **labels: str) -> Any:  # noqa: A002
        class One:
            def add(self, n: int = 1) -> None:
                """Forget it."""

        return One()


@pytest.mark.parametrize(
    ("token", "status"),
    [(token_of(scope="predict"), 200), (token_of(), 403), (token_of(OTHER, scope="predict"), 401)],
    ids=["good", "lacks a claim", "bad"],
)
def test_a_bearer_token_is_let_in_or_refused(tmp_path: Path, token: bytes, status: int) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(PEM)
    variables = SET | {
        "FAIRLEAD_JWT_JWKS_URL": "",
        "FAIRLEAD_JWT_KEY_FILE": str(file),
        "FAIRLEAD_JWT_CLAIMS": "scope=predict",
    }
    access = access_of(Environment(variables), Uncounted())
    assert access is not None
    headers = {b"authorization": b"Bearer " + token}
    if status == 200:
        assert access.admit(headers, "/predict") == "shop"
    else:
        with pytest.raises(Refused) as refused:
            access.admit(headers, "/predict")
        assert refused.value.status == status
        assert refused.value.headers[0][0] == b"www-authenticate"


def test_while_the_issuers_keys_are_not_here_the_caller_is_told_to_come_again(issuer: Issuer) -> None:
    issuer.may_answer.clear()
    access = access_of(Environment(SET | {"FAIRLEAD_JWT_JWKS_URL": issuer.url}), Uncounted())
    assert access is not None
    with pytest.raises(Refused) as refused:
        access.admit({b"authorization": b"Bearer " + token_of()}, "/predict")
    assert (refused.value.status, refused.value.headers) == (503, ((b"retry-after", b"1"),))
    access.close()
