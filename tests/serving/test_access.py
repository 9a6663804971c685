"""Who is let in: API keys that change on disk, open paths, rates, and the credential of internal calls."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.access import Access, access_of, internal_of, new_key
from fairlead.serve.guards.access.keys import parse_keys
from fairlead.serve.guards.access.watched import Watched
from fairlead.serve.http import Refused

SECRET = b"0123456789abcdef-internal"


class Counted:
    """What the metrics were told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def counter(self, name: str, help: str, **labels: str) -> Any:  # noqa: A002
        key = " ".join([name, *labels.values()])
        counts = self.counts

        class One:
            def add(self, n: int = 1) -> None:
                counts[key] += n

        return One()


def access_with(variables: dict[str, str], counted: Counted | None = None) -> Access:
    access = access_of(Environment(variables), counted or Counted())
    assert access is not None
    return access


def refusal(access: Access, headers: dict[bytes, bytes], path: str = "/predict") -> Refused:
    with pytest.raises(Refused) as refused:
        access.admit(headers, path)
    return refused.value


@pytest.fixture
def shop(tmp_path: Path) -> tuple[Path, bytes]:
    """A key file and the one key that is in it."""
    key, line = new_key("shop")
    file = tmp_path / "keys"
    file.write_text(f"# keys\n\n{line}\n")
    return file, key.encode()


def test_without_settings_everybody_may_ask() -> None:
    assert access_of(Environment({}), Counted()) is None


# ------------------------------------------------------------------------------------------------------ keys


@pytest.mark.parametrize("header", [b"x-api-key", b"authorization"])
def test_a_key_names_its_caller(shop: tuple[Path, bytes], header: bytes) -> None:
    file, key = shop
    value = key if header == b"x-api-key" else b"Bearer " + key
    assert access_with({"FAIRLEAD_KEYS_FILE": str(file)}).admit({header: value}, "/predict") == "shop"


def test_the_scheme_of_authorization_has_no_case(shop: tuple[Path, bytes]) -> None:
    file, key = shop
    access = access_with({"FAIRLEAD_KEYS_FILE": str(file)})
    assert access.admit({b"authorization": b"bearer " + key}, "/predict") == "shop"


CREDENTIALS = {
    "none": ({}, b"Bearer"),
    "an empty key": ({b"x-api-key": b""}, b'Bearer error="invalid_token"'),
    "a wrong key": ({b"x-api-key": b"guess"}, b'Bearer error="invalid_token"'),
    "another scheme": ({b"authorization": b"Basic c2hvcDpzaG9w"}, b"Bearer"),
    "a scheme alone": ({b"authorization": b"Bearer "}, b"Bearer"),
    "not ASCII": ({b"x-api-key": b"\xff\x00\xfe"}, b'Bearer error="invalid_token"'),
    "a token where only keys are taken": (
        {b"authorization": b"Bearer a.b.c"},
        b'Bearer error="invalid_token"',
    ),
}


@pytest.mark.parametrize(("headers", "challenge"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_without_a_good_key_the_answer_is_401_with_a_challenge(
    shop: tuple[Path, bytes], headers: dict[bytes, bytes], challenge: bytes
) -> None:
    refused = refusal(access_with({"FAIRLEAD_KEYS_FILE": str(shop[0])}), headers)
    assert (refused.status, refused.headers) == (401, ((b"www-authenticate", challenge),))


def test_refusals_are_counted_by_reason(shop: tuple[Path, bytes]) -> None:
    counted = Counted()
    access = access_with({"FAIRLEAD_KEYS_FILE": str(shop[0])}, counted)
    refusal(access, {})
    refusal(access, {b"x-api-key": b"guess"})
    assert counted.counts == {
        "fairlead_access_refused_total no credential": 1,
        "fairlead_access_refused_total unknown key": 1,
    }


def test_a_key_is_long_and_random() -> None:
    keys = {new_key("shop")[0] for _ in range(10)}
    assert len(keys) == 10
    assert min(map(len, keys)) >= 43


@pytest.mark.parametrize("caller", ["", "a b", "a" * 65, "x\ny: sha256:00"])
def test_a_caller_has_a_name_that_fits_a_line(caller: str) -> None:
    with pytest.raises(ValueError, match="is no name for a caller"):
        new_key(caller)


DIGEST = "ab" * 32
BROKEN = {
    "empty": ("", "there is no key"),
    "comments only": ("# nobody\n", "there is no key"),
    "a key in clear": ("shop: my-secret-key", "line 1: must read"),
    "a short digest": (f"shop: sha256:{DIGEST[:-1]}", "line 1: must read"),
    "the same key twice": (
        f"shop: sha256:{DIGEST}\nbank: sha256:{DIGEST.upper()}",
        "line 2: shop has the same key",
    ),
    "bytes": ("\x00\x01", "line 1: must read"),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_key_file_that_is_wrong_is_refused_by_line_and_never_shown(content: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        parse_keys(content.encode())
    assert "my-secret-key" not in str(error.value)


def test_a_broken_key_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("nonsense")
    with pytest.raises(ProjectError, match="line 1: must read"):
        access_with({"FAIRLEAD_KEYS_FILE": str(file)})


def test_two_keys_of_one_caller_overlap_while_one_is_replaced() -> None:
    (old, first), (new, second) = new_key("shop"), new_key("shop")
    keys = parse_keys(f"{first}\n{second}\n".encode())
    assert [keys.caller(key.encode()) for key in (old, new)] == ["shop", "shop"]


# ------------------------------------------------------------------------------------------- changes on disk


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_mounted_secret_that_is_swapped_is_read_again(tmp_path: Path) -> None:
    """The kubelet writes a new folder and turns the link ``..data`` to it."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys").write_text(version)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "keys").symlink_to("..data/keys")
    clock = Clock()
    watched = Watched(tmp_path / "keys", bytes.decode, clock=clock)
    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    clock.now = 0.9
    assert watched.value == "v1"
    clock.now = 1.1
    assert watched.value == "v2"


@pytest.mark.parametrize("change", ["broken", "gone"])
def test_a_change_that_cannot_be_used_keeps_what_was_there_and_is_counted_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    file, clock, broken = tmp_path / "number", Clock(), []
    file.write_text("7")
    watched = Watched(file, int, broken=lambda: broken.append(1), clock=clock)
    if change == "broken":
        file.write_text("seven")
    else:
        file.unlink()
    with caplog.at_level(logging.ERROR):
        for clock.now in (2.0, 4.0, 6.0):
            assert watched.value == 7
    assert (len(broken), len(caplog.records)) == (1, 1)
    file.write_text("8 ")
    clock.now = 8.0
    assert watched.value == 8


# ----------------------------------------------------------------------------------------------- open paths


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics"])
def test_probes_and_the_scrape_need_no_key(shop: tuple[Path, bytes], path: str) -> None:
    assert access_with({"FAIRLEAD_KEYS_FILE": str(shop[0])}).admit({}, path) == ""


def test_the_scrape_can_be_closed_and_other_paths_opened(shop: tuple[Path, bytes]) -> None:
    access = access_with({
        "FAIRLEAD_KEYS_FILE": str(shop[0]), "FAIRLEAD_METRICS_OPEN": "false", "FAIRLEAD_OPEN_PATHS": "/, /openapi.json",
    })  # fmt: skip
    assert refusal(access, {}, "/metrics").status == 401
    assert [access.admit({}, path) for path in ("/", "/openapi.json", "/livez")] == ["", "", ""]


@pytest.mark.parametrize("path", ["/livez/", "//livez", "/livez/../predict", "/LIVEZ", "/livez?x"])
def test_a_path_that_only_looks_like_a_probe_is_closed(shop: tuple[Path, bytes], path: str) -> None:
    assert refusal(access_with({"FAIRLEAD_KEYS_FILE": str(shop[0])}), {}, path).status == 401


# ---------------------------------------------------------------------------------------------------- rates


def test_too_many_requests_are_refused_with_the_time_to_wait(shop: tuple[Path, bytes]) -> None:
    file, key = shop
    access = access_with({"FAIRLEAD_KEYS_FILE": str(file), "FAIRLEAD_RATE_PER_SECOND": "0.1"})
    access.admit({b"x-api-key": key}, "/predict")
    refused = refusal(access, {b"x-api-key": key})
    assert (refused.status, refused.headers) == (429, ((b"retry-after", b"10"),))


def test_where_callers_are_not_told_apart_all_share_one_rate() -> None:
    access = access_with({"FAIRLEAD_RATE_PER_SECOND": "0.1"})
    assert access.admit({}, "/predict") == ""
    assert refusal(access, {}).status == 429
    assert access.admit({}, "/livez") == ""


# -------------------------------------------------------------------------------------------- internal calls


@pytest.mark.parametrize(
    ("headers", "route"),
    [
        ({b"x-fairlead-internal": SECRET, b"x-fairlead-route": b"shadow"}, "shadow"),
        ({b"x-fairlead-internal": SECRET, b"x-fairlead-route": b"preview"}, "preview"),
        ({b"x-fairlead-internal": SECRET, b"x-fairlead-route": b"live"}, "live"),
        ({b"x-fairlead-internal": SECRET, b"x-fairlead-route": b"other"}, "live"),
        ({b"x-fairlead-internal": SECRET}, "live"),
        ({b"x-fairlead-internal": SECRET[:-1], b"x-fairlead-route": b"shadow"}, "live"),
        ({b"x-fairlead-internal": b"", b"x-fairlead-route": b"shadow"}, "live"),
        ({b"x-fairlead-route": b"shadow"}, "live"),
        ({}, "live"),
    ],
    ids=["shadow", "preview", "live", "unknown", "no route", "wrong", "empty", "no credential", "traffic"],
)
def test_only_the_credential_makes_a_call_internal(
    tmp_path: Path, headers: dict[bytes, bytes], route: str
) -> None:
    file = tmp_path / "token"
    file.write_bytes(SECRET + b"\n")
    internal = internal_of(Environment({"FAIRLEAD_INTERNAL_TOKEN_FILE": str(file)}), Counted())
    assert internal is not None
    assert internal.route_of(headers) == route


def test_a_false_claim_to_be_internal_is_counted(tmp_path: Path) -> None:
    file, counted = tmp_path / "token", Counted()
    file.write_bytes(SECRET)
    internal = internal_of(Environment({"FAIRLEAD_INTERNAL_TOKEN_FILE": str(file)}), counted)
    assert internal is not None
    internal.route_of({b"x-fairlead-internal": b"guess"})
    internal.route_of({})
    assert counted.counts == {"fairlead_internal_ignored_total": 1}


def test_without_a_credential_file_no_call_is_internal() -> None:
    assert internal_of(Environment({}), Counted()) is None


def test_a_short_internal_credential_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"short\n")
    with pytest.raises(ProjectError, match="holds 5 bytes"):
        internal_of(Environment({"FAIRLEAD_INTERNAL_TOKEN_FILE": str(file)}), Counted())


def test_an_internal_call_needs_no_key_and_counts_for_no_rate(shop: tuple[Path, bytes]) -> None:
    access = access_with({"FAIRLEAD_KEYS_FILE": str(shop[0]), "FAIRLEAD_RATE_PER_SECOND": "0.1"})
    assert [access.admit({}, "/predict", "shadow") for _ in range(3)] == ["", "", ""]
