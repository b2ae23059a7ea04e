"""The fsspec file systems of the stores, with limits to how long one that does not answer is waited for, and what they
raise as errors about a URL.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

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
all. One that cannot be connected to is given up after 10 seconds. gcsfs always tries six times, with pauses of half a
minute in all."""

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
_FORBIDDEN = "Forbidden: "
"""How the OSError begins that gcsfs raises for status 403."""
_BAD_REQUEST, _REQUESTER_PAYS = "Bad Request: ", "Bucket is requester pays"
"""How the ValueErrors begin that gcsfs raises for status 400."""
_UNAUTHORIZED = 401
_QUIET = logging.NullHandler()
"""Without a handler Python prints what gcsfs logs, such as tracebacks of errors that are told anyway."""


def store_of(url: Url) -> AbstractFileSystem:
    """The file system that `url` is in, without a cache of listings. Raises MissingExtraError without its package."""
    require(PACKAGES[url.scheme], f"{url.scheme}:// URLs", url.scheme)
    import fsspec

    store = fsspec.filesystem(url.scheme, use_listings_cache=False, **_options(url.scheme))
    if url.scheme == "s3":
        store.retries = _ROUNDS  # an attribute, no option
    else:
        for name in ("gcsfs", "google.auth"):
            logging.getLogger(name).addHandler(_QUIET)
    return store


def _options(scheme: str) -> dict[str, Any]:
    """Of the file system, so that it does not wait for ever."""
    if scheme == "s3":
        retries = {"total_max_attempts": _ATTEMPTS, "mode": "standard"}
        return {"config_kwargs": {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": retries}}
    import aiohttp

    return {"requests_timeout": aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_READ_S)}


def info_of(store: AbstractFileSystem, path: str) -> dict[str, Any]:
    """What fsspec says about an object, a folder or a bucket. Raises FileNotFoundError, and PermissionError for all
    stores alike.
    """
    try:
        return cast("dict[str, Any]", store.info(path))
    except OSError as error:
        if _is_refused(error):
            raise PermissionError(str(error)) from error
        raise


def path_in(info: Mapping[str, Any]) -> str:
    """``BUCKET/KEY`` of what fsspec describes."""
    return str(info["name"]).lstrip("/")


@contextmanager
def store_errors(url: Url, kind: type[LtcalError], store: AbstractFileSystem) -> Iterator[None]:
    """Turn what a store raises in the block into an error of `kind` about `url`; LtcalErrors pass."""
    try:
        yield
    except _raised_by(url.scheme).all as error:
        if isinstance(error, ValueError) and not str(error).startswith((_BAD_REQUEST, _REQUESTER_PAYS)):
            raise
        raise _error_of(error, url, kind, store) from error


def no_such_object(store: AbstractFileSystem, url: Url, kind: type[LtcalError]) -> LtcalError:
    """The error of an object that does not exist, or whose bucket does not."""
    problem = Problem("store", "an object or a folder that exists", "none")
    try:
        info_of(store, url.bucket)
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
    if isinstance(error, OSError) and _is_refused(error):
        return kind(str(url), [Problem("store", "permission for this", _message(error))], _FIX_PERMISSION)
    if isinstance(error, (*raised.connection, TimeoutError, ConnectionError)):
        problem = Problem("store", "a connection that works", _message(error))
        return kind(str(url), [problem], _FIX_CONNECTION[url.scheme])
    if isinstance(error, raised.credentials) or getattr(error, "code", None) == _UNAUTHORIZED:
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
    from gcsfs.retry import ChecksumError, HttpError, NonRetryableError
    from google.auth import exceptions as gs

    return _Raised(
        (gs.TransportError, aiohttp.ClientError),
        (gs.GoogleAuthError, NonRetryableError),
        (HttpError, ChecksumError, ValueError),
    )


def _is_refused(error: OSError) -> bool:
    """Whether the store says that the credentials do not allow it."""
    return isinstance(error, PermissionError) or str(error).startswith(_FORBIDDEN)


def _message(error: Exception) -> str:
    """What the store says, without a user name and a password in an address."""
    first, _, reason = str(error).partition("\n")
    told = reason if reason and first.startswith((_FORBIDDEN, _BAD_REQUEST)) else message_of(error)
    return _USER.sub("//", told)
