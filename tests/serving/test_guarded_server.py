"""Who may ask a running server, and what calls that are no traffic leave behind: through the socket, all together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.serving.hostile_cases import ROW, SERVICE, message
from tests.serving.servers import Server, wait_for

from fairlead.serve.guards.access import new_key

ISSUER, AUDIENCE, ORIGIN = "https://issuer.example", "fraud", "https://shop.example"
INTERNAL = "0123456789abcdef0123456789abcdef"
BODY = {"rows": [ROW]}
Headers = Mapping[str, str]


@pytest.fixture(scope="module")
def signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, signer: ec.EllipticCurvePrivateKey) -> Path:
    """A folder with the files that the settings name."""
    folder = tmp_path_factory.mktemp("guarded")
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "public.pem").write_bytes(public)
    (folder / "internal").write_text(INTERNAL)
    return folder


@pytest.fixture(scope="module")
def keys(place: Path) -> dict[str, str]:
    """Callers and their keys, which are in the file."""
    made = {caller: new_key(caller) for caller in ("shop", "bank", "busy")}
    (place / "keys").write_text("\n".join(line for _, line in made.values()))
    return {caller: key for caller, (key, _) in made.items()}


@pytest.fixture(scope="module")
def server(fraud_folder: Path, place: Path, keys: dict[str, str]) -> Iterator[Server]:
    settings = {
        "FAIRLEAD_KEYS_FILE": str(place / "keys"),
        "FAIRLEAD_JWT_KEY_FILE": str(place / "public.pem"),
        "FAIRLEAD_JWT_ALGORITHM": "ES256",
        "FAIRLEAD_JWT_ISSUER": ISSUER,
        "FAIRLEAD_JWT_AUDIENCE": AUDIENCE,
        "FAIRLEAD_RATE_PER_SECOND": "0.1",
        "FAIRLEAD_RATE_BURST": "12",
        "FAIRLEAD_CORS_ORIGINS": ORIGIN,
        "FAIRLEAD_INTERNAL_TOKEN_FILE": str(place / "internal"),
    }
    started = Server(fraud_folder, place / "log", settings, "--grpc-port", "0")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=10) as made:
        yield made


def predict(client: httpx.Client, headers: Headers) -> httpx.Response:
    return client.post("/predict", json=BODY, headers=dict(headers))


def token(signer: Any, **changes: Any) -> Headers:
    """Headers with a token that is good but for *changes*."""
    algorithm = changes.pop("algorithm", "ES256")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "exp": until} | changes
    return {"authorization": "Bearer " + jwt.encode(claims, signer, algorithm)}


# ------------------------------------------------------------------------------------------------ credentials


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v2/health/ready", "/metrics"])
def test_probes_and_counters_need_no_credential(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/v2", "/v2/models/fraud", "/nothing"])
def test_everything_else_needs_one(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("name", ["x-api-key", "authorization"])
def test_a_key_opens(client: httpx.Client, keys: dict[str, str], name: str) -> None:
    value = keys["shop"] if name == "x-api-key" else f"Bearer {keys['shop']}"
    assert predict(client, {name: value}).status_code == 200


def test_a_token_of_the_issuer_opens(client: httpx.Client, signer: Any) -> None:
    assert predict(client, token(signer)).status_code == 200


PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
STRANGER = ec.generate_private_key(ec.SECP256R1())
BAD: dict[str, tuple[Any, dict[str, Any]]] = {
    "of another key": (STRANGER, {}),
    "of another issuer": (None, {"iss": "https://other.example"}),
    "for somebody else": (None, {"aud": "spam"}),
    "expired": (None, {"exp": PAST}),
    "without a subject": (None, {"sub": None}),
    "signed with a word": ("a word that is long enough for HS256", {"algorithm": "HS256"}),
    "unsigned": ("", {"algorithm": "none"}),
}


@pytest.mark.parametrize("name", BAD)
def test_another_token_does_not(client: httpx.Client, signer: Any, name: str) -> None:
    key, changes = BAD[name]
    response = predict(client, token(signer if key is None else key, **changes))
    assert response.status_code == 401
    assert "error" in response.json()


def test_a_new_key_opens_without_a_restart_and_the_old_one_no_longer(
    client: httpx.Client, place: Path, keys: dict[str, str]
) -> None:
    before = (place / "keys").read_text()
    new, line = new_key("bank")
    try:
        replaced = [line if one.startswith("bank") else one for one in before.splitlines()]
        (place / "keys").write_text("\n".join(replaced))

        def opened() -> bool:
            return predict(client, {"x-api-key": new}).status_code == 200

        wait_for(opened, seconds=20, says=lambda: "the new key was not read")
        assert predict(client, {"x-api-key": keys["bank"]}).status_code == 401
    finally:
        (place / "keys").write_text(before)


def test_calls_of_grpc_need_a_credential_too(server: Server, keys: dict[str, str]) -> None:
    with grpc.insecure_channel(server.target.grpc) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            call(message(), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert call(message(), timeout=10, metadata=[("x-api-key", keys["shop"])])


# ------------------------------------------------------------------------------------------------------- rates


def test_one_caller_asks_too_often_and_the_others_do_not_notice(
    client: httpx.Client, keys: dict[str, str]
) -> None:
    statuses = [predict(client, {"x-api-key": keys["busy"]}).status_code for _ in range(15)]
    refused = predict(client, {"x-api-key": keys["busy"]})
    assert statuses == [200] * 12 + [429] * 3
    assert 1 <= int(refused.headers["retry-after"]) <= 11
    assert predict(client, {"x-api-key": keys["shop"]}).status_code == 200


# -------------------------------------------------------------------------------------------------- other sites


def test_a_page_of_an_allowed_site_may_ask(client: httpx.Client, keys: dict[str, str]) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    preflight = client.options("/predict", headers=asks)
    answer = predict(client, {"origin": ORIGIN, "x-api-key": keys["shop"]})
    assert preflight.status_code == 200
    assert "x-api-key" in preflight.headers["access-control-allow-headers"]
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_page_of_another_site_may_not(client: httpx.Client) -> None:
    asks = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    preflight = client.options("/predict", headers=asks)
    assert preflight.status_code == 401
    assert "access-control-allow-origin" not in preflight.headers


def test_even_a_refusal_has_the_headers_that_protect_a_browser(client: httpx.Client) -> None:
    response = predict(client, {"origin": ORIGIN})
    assert response.status_code == 401
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-request-id"]


# --------------------------------------------------------------------------------------------- internal calls


@pytest.mark.parametrize("route", ["shadow", "preview"])
def test_an_internal_call_needs_no_key_and_is_no_traffic(client: httpx.Client, route: str) -> None:
    live = _predictions(client, "live")
    response = predict(client, {"x-fairlead-internal": INTERNAL, "x-fairlead-route": route})
    assert response.status_code == 200
    assert _predictions(client, route) == 1
    assert _predictions(client, "live") == live


def test_whoever_claims_to_be_internal_without_the_credential_is_traffic(
    server: Server, client: httpx.Client
) -> None:
    before = server.metric("fairlead_internal_ignored_total")
    response = predict(client, {"x-fairlead-internal": "guess" * 8, "x-fairlead-route": "shadow"})
    assert response.status_code == 401
    assert server.metric("fairlead_internal_ignored_total") == before + 1


def _predictions(client: httpx.Client, route: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    wanted = ("fairlead_requests_total{", 'endpoint="/predict"', f'route="{route}"', 'code="200"')
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(part in line for part in wanted))
