"""The fsspec file systems of the stores, with limits to how long one that does not answer is waited for, and what they
raise as errors about a URL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longtail_cli.errors import LtcalError, Problem, require
from longtail_cli.files.reading import message_of
from longtail_cli.files.urls import Url

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
"""The package of each scheme; the extra is called like the scheme."""

_CONNECT_S, _READ_S = 5, 10
_ATTEMPTS, _ROUNDS = 2, 3
"""How often botocore sends a request, and how often s3fs lets it if a store is busy or does not answer: for a minute in
all. One that cannot be connected to is given up after 10 seconds."""
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        }
    },
    "gs": {},
}

_USER = re.compile(r"//[^/@\s]+@")
_FIX_CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
}
_FIX_CONNECTION = {
    "s3": "check the network and the proxy, AWS_ENDPOINT_URL and the region",
    "gs": "check the network and the proxy",
}
_FIX_PERMISSION = "check that the credentials in use allow this for the bucket and the object"
_FIX_OTHER = "check the URL, and whether the store's own tools can use it"


def store_of(url: Url) -> AbstractFileSystem:
    """The file system that `url` is in, without a cache of listings. Raises MissingExtraError without its package."""
    require(PACKAGES[url.scheme], f"{url.scheme}:// URLs", url.scheme)
    import fsspec

    store = fsspec.filesystem(url.scheme, use_listings_cache=False, **_OPTIONS[url.scheme])
    store.retries = _ROUNDS  # an attribute of both, no option
    return store


def path_in(info: Mapping[str, Any]) -> str:
    """``BUCKET/KEY`` of what fsspec describes."""
    return str(info["name"]).lstrip("/")


@contextmanager
def store_errors(url: Url, kind: type[LtcalError], store: AbstractFileSystem) -> Iterator[None]:
    """Turn what a store raises in the block into an error of `kind` about `url`; LtcalErrors pass."""
    try:
        yield
    except _raised_by(url.scheme).all as error:
        raise _error_of(error, url, kind, store) from error


def no_such_object(store: AbstractFileSystem, url: Url, kind: type[LtcalError]) -> LtcalError:
    """The error of an object that does not exist, or whose bucket does not."""
    problem = Problem("store", "an object or a folder that exists", "none")
    try:
        store.info(url.bucket)
    except FileNotFoundError:
        problem = Problem("store", "a bucket that exists", f"no bucket {url.bucket}")
    except PermissionError:  # to list the bucket
        pass
    return kind(str(url), [problem], "check the URL, and which store is configured")


@dataclass(frozen=True, slots=True)
class _Raised:
    """What the library of a store raises, beside subclasses of OSError."""

    connection: tuple[type[Exception], ...]
    credentials: tuple[type[Exception], ...]
    other: tuple[type[Exception], ...]

    @property
    def all(self) -> tuple[type[Exception], ...]:
        return (OSError, *self.connection, *self.credentials, *self.other)


def _error_of(error: Exception, url: Url, kind: type[LtcalError], store: AbstractFileSystem) -> LtcalError:
    """What `error`, which the store raised, says about `url`."""
    raised = _raised_by(url.scheme)
    if isinstance(error, FileNotFoundError):
        return no_such_object(store, url, kind)
    if isinstance(error, PermissionError):
        return kind(str(url), [Problem("store", "permission for this", _message(error))], _FIX_PERMISSION)
    if isinstance(error, (*raised.connection, TimeoutError, ConnectionError)):
        problem = Problem("store", "a connection that works", _message(error))
        return kind(str(url), [problem], _FIX_CONNECTION[url.scheme])
    if isinstance(error, raised.credentials):
        fix = f"{_FIX_CREDENTIALS[url.scheme]}; on a cluster, on its nodes too"
        return kind(str(url), [Problem("store", "credentials", _message(error))], fix)
    return kind(str(url), [Problem("store", "an answer that can be used", _message(error))], _FIX_OTHER)


def _raised_by(scheme: str) -> _Raised:
    import aiohttp

    if scheme == "s3":
        from botocore import exceptions as s3

        return _Raised(
            (s3.ConnectionError, s3.HTTPClientError, aiohttp.ClientError),
            (
                s3.NoCredentialsError, s3.PartialCredentialsError, s3.CredentialRetrievalError, s3.ProfileNotFound,
                s3.TokenRetrievalError, s3.SSOError,
            ),
            (s3.BotoCoreError, s3.ClientError),
        )  # fmt: skip
    from gcsfs.retry import HttpError
    from google.auth import exceptions as gs

    return _Raised((gs.TransportError, aiohttp.ClientError), (gs.GoogleAuthError,), (HttpError,))


def _message(error: Exception) -> str:
    """The message without a user name and a password in an address."""
    return _USER.sub("//", message_of(error))
