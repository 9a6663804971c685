"""What browsers are told: headers of answers and pages, and which sites may ask."""

from __future__ import annotations

import base64
import hashlib

import pytest

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.browser import HEADERS, Cors, page_headers

SHOP = b"https://shop.example"
ASKS = {b"origin": SHOP, b"access-control-request-method": b"POST"}


def cors_of(origins: str) -> Cors:
    cors = Cors.from_environment(Environment({"FAIRLEAD_CORS_ORIGINS": origins}))
    assert cors is not None
    return cors


def test_an_answer_is_not_sniffed_and_not_kept() -> None:
    assert HEADERS == ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


def test_a_page_runs_its_own_scripts_only_and_is_in_no_frame() -> None:
    policy = dict(page_headers(b"<p>"))[b"content-security-policy"].decode().split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any("unsafe" in part or "*" in part for part in policy)


def test_scripts_and_styles_in_a_page_are_allowed_by_their_digests() -> None:
    page = b"<style>\nb{}</style><script type=module>go()</script><script src=x></script>"
    policy = dict(page_headers(page))[b"content-security-policy"]
    for content, kind in ((b"\nb{}", b"style"), (b"go()", b"script")):
        digest = base64.b64encode(hashlib.sha256(content).digest())
        assert b"%s-src 'self' 'sha256-%s';" % (kind, digest) in policy


def test_cors_is_off_unless_set() -> None:
    assert Cors.from_environment(Environment({})) is None


def test_a_site_that_may_ask_is_named_and_caches_are_told() -> None:
    headers = dict(cors_of("https://shop.example, https://bank.example").headers({b"origin": SHOP}))
    assert headers[b"access-control-allow-origin"] == SHOP
    assert headers[b"vary"] == b"origin"
    assert b"access-control-allow-credentials" not in headers


OTHERS = [
    b"https://evil.example",
    b"https://shop.example.evil.example",
    b"https://evilshop.example",
    b"http://shop.example",
    b"https://shop.example:8443",
    b"https://SHOP.example",
    b"null",
    b"",
    b"*",
]


@pytest.mark.parametrize("origin", OTHERS)
def test_another_site_is_not(origin: bytes) -> None:
    cors = cors_of("https://shop.example")
    assert cors.headers({b"origin": origin}) == ((b"vary", b"origin"),)
    assert cors.preflight("OPTIONS", ASKS | {b"origin": origin}) is None


def test_no_site_asks_without_an_origin() -> None:
    assert cors_of("https://shop.example").headers({}) == ((b"vary", b"origin"),)


@pytest.mark.parametrize("origin", [SHOP, b"null"])
def test_a_star_lets_all_sites_ask(origin: bytes) -> None:
    headers = dict(cors_of("*").headers({b"origin": origin}))
    assert headers[b"access-control-allow-origin"] == b"*"


def test_a_preflight_says_what_may_be_asked() -> None:
    answer = cors_of("https://shop.example").preflight("OPTIONS", ASKS)
    assert answer is not None
    headers = dict(answer.headers)
    assert (answer.status, answer.body) == (200, b"")
    assert b"POST" in headers[b"access-control-allow-methods"]
    assert {b"authorization", b"x-api-key", b"content-type"} <= set(
        headers[b"access-control-allow-headers"].split(b", ")
    )


@pytest.mark.parametrize(
    ("method", "headers"),
    [("POST", ASKS), ("GET", ASKS), ("OPTIONS", {b"origin": SHOP}), ("OPTIONS", {})],
    ids=["POST", "GET", "no method asked for", "bare OPTIONS"],
)
def test_other_requests_are_no_preflight(method: str, headers: dict[bytes, bytes]) -> None:
    assert cors_of("https://shop.example").preflight(method, headers) is None


@pytest.mark.parametrize(
    "origin",
    ["shop.example", "https://shop.example/", "https://*.shop.example", "https://Shop.example", "null", "ftp://a",
     "https://a b", "https://user@shop.example"],
)  # fmt: skip
def test_an_origin_no_browser_would_send_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ProjectError, match="must be origins like"):
        cors_of(origin)


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://127.0.0.1", "https://[::1]:8443"])
def test_origins_with_ports_and_addresses_are_taken(origin: str) -> None:
    assert cors_of(origin).origins == {origin.encode()}
