"""S3-compatible object storage: one connection by the standard AWS variables, and what its errors mean.

``AWS_ENDPOINT_URL`` (http or https; unset means AWS itself), ``AWS_REGION``, ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY`` are read as every S3 client reads them, a certificate bundle from ``AWS_CA_BUNDLE`` or
``SSL_CERT_FILE``, and a proxy from ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from fairlead.errors import IntegrityError, NotFound, ProjectError, ServiceError

SCHEME = "s3://"
PATIENCE = 120.0
"""Seconds for which a store that does not answer is asked again: its pod may be moving to another node."""

_TRANSIENT = re.compile(
    r"AWS Error (NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE|REQUEST_TIMEOUT)|HTTP status 5\d\d"
)
_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID|HTTP status 403|access key"
)
_WRONG_REGION = re.compile(
    r"AuthorizationHeaderMalformed|PermanentRedirect|HTTP status (301|307|400)|[Rr]egion"
)

_log = logging.getLogger("fairlead")
Result = TypeVar("Result")


def filesystem(environment: Mapping[str, str] = os.environ, *, attempts: int = 6) -> Any:
    """A connection to the object store that *environment* names. No request is made yet.

    Args:
        environment: The standard AWS variables.
        attempts: How often one request is tried; with six the last one is about 20 s after the first, with ten a minute and a
            half.

    Raises:
        ProjectError: ``AWS_ENDPOINT_URL`` is no http or https URL.
    """
    from pyarrow import fs

    endpoint = _endpoint(environment)
    if endpoint is not None or environment.get("AWS_ACCESS_KEY_ID"):
        # Only an instance's own role is looked up there; whoever names a store or a key does not mean that.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return fs.S3FileSystem(
        access_key=environment.get("AWS_ACCESS_KEY_ID") or None,
        secret_key=environment.get("AWS_SECRET_ACCESS_KEY") or None,
        session_token=environment.get("AWS_SESSION_TOKEN") or None,
        region=region or ("us-east-1" if endpoint else None),
        scheme=endpoint.scheme if endpoint else "https",
        endpoint_override=endpoint.netloc if endpoint else None,
        proxy_options=_proxy(endpoint),
        tls_ca_file_path=environment.get("AWS_CA_BUNDLE") or environment.get("SSL_CERT_FILE") or None,
        background_writes=False,  # parts that wait for a slow store would pile up in memory
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
    )


def _endpoint(environment: Mapping[str, str]) -> SplitResult | None:
    url = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ProjectError(
            f"AWS_ENDPOINT_URL is {url!r}, but must be an http or https URL",
            hint="For example http://store.fairlead-system.svc:7070; unset it for AWS itself.",
        )
    return parts


def _proxy(endpoint: SplitResult | None) -> str | None:
    scheme = endpoint.scheme if endpoint else "https"
    host = endpoint.netloc if endpoint else "s3.amazonaws.com"
    return None if proxy_bypass_environment(host) else getproxies_environment().get(scheme)


def bucket_and_key(uri: str) -> str:
    """*uri* as the file system names it: ``bucket/key``.

    >>> bucket_and_key("s3://models/team/bundles/ab.tar")
    'models/team/bundles/ab.tar'

    Raises:
        ProjectError: It is not ``s3://BUCKET/…``.
    """
    path = uri.removeprefix(SCHEME).strip("/")
    if not uri.startswith(SCHEME) or not path:
        raise ProjectError(f"{uri!r} is no place in an object store", hint="For example s3://bucket/prefix.")
    return path


def is_transient(fault: OSError) -> bool:
    """Whether the same request may well succeed in a moment: the store was not reached, is busy or is broken for now."""
    return bool(_TRANSIENT.search(str(fault)))


def patiently(action: Callable[[], Result], what: str, patience: float = PATIENCE) -> Result:
    """The result of *action*, which is started again after transient faults, with growing pauses.

    Args:
        action: Can be started again from the beginning.
        what: Names it in the log.
        patience: Seconds after the first start, at the end of which a fault is final.

    Raises:
        OSError: The fault that was not transient, or the last one.
    """
    until, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            return action()
        except OSError as fault:
            if not is_transient(fault) or time.monotonic() + pause > until:
                raise
            _log.warning("%s: %s; trying again in %.1f s", what, reason_of(fault), pause)
        time.sleep(pause)
        pause = min(2 * pause, 15.0)


@contextmanager
def s3_errors(uri: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Turn the store's errors about *uri* into fairlead's, naming the endpoint.

    Raises:
        NotFound: There is nothing at *uri*.
        IntegrityError: What is there is not what was stored, by the store's own checksum.
        ServiceError: Anything else that the store, or the way to it, refuses.
    """
    try:
        yield
    except FileNotFoundError as cause:
        raise NotFound(f"there is no {uri} at {shown_endpoint(environment)}") from cause
    except OSError as cause:
        if cause.errno is not None:  # a local file or folder
            raise
        if "checksum" in str(cause):
            raise IntegrityError(
                f"{uri} at {shown_endpoint(environment)} is damaged: {reason_of(cause)}",
                hint="Remove it from the store, and make it again.",
            ) from cause
        raise ServiceError(
            f"{uri} at {shown_endpoint(environment)} cannot be used: {reason_of(cause)}",
            hint=hint_for(cause, environment),
        ) from cause


def shown_endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """Which store, for messages."""
    endpoint = _endpoint(environment)
    return endpoint.geturl() if endpoint else "AWS S3"


def reason_of(fault: OSError) -> str:
    """The store's own words, without pyarrow's about the request, which repeat the bucket and the key."""
    text = " ".join(str(fault).split())
    found = re.search(r"AWS Error (.*)", text)
    return found.group(1) if found else text


def hint_for(fault: OSError, environment: Mapping[str, str] = os.environ) -> str:
    """What to do about a fault of the store."""
    text = str(fault)
    if "NO_SUCH_BUCKET" in text:
        return "Create the bucket, or name another one in FAIRLEAD_STORE."
    if not environment.get("AWS_ACCESS_KEY_ID"):
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set."
    if _DENIED.search(text):
        return "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_REGION, and what they may do in this bucket."
    if _WRONG_REGION.search(text):
        region = environment.get("AWS_REGION") or "us-east-1"
        return f"Requests were signed for the region {region!r}; set AWS_REGION to the store's."
    return "Check AWS_ENDPOINT_URL, and that the store runs and can be reached from here."
