"""URLs of shared stores: ``s3://BUCKET/KEY`` and ``gs://BUCKET/KEY``; ``file://`` is another way to write a path.

A key is taken as it stands, as the tools of the stores do: nothing is percent-decoded. Credentials belong into the
configuration of the store, never into a URL: one with a user name, a password or a signature is refused, and no message
repeats them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from longtail_cli.errors import Problem, UsageError

STORES = ("s3", "gs")
"""The schemes of stores."""
MAGIC = frozenset("*?[")
"""What makes a key a pattern."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_QUERY = re.compile(r"\?[\w.-]+=")
_FIX_SCHEME = "copy the file to this machine first, and pass its path"
_FIX_SECRET = "leave them out, and configure the credentials of the store, for example by AWS_PROFILE"
_FIX_KEY = "check the URL; objects with such names have to be copied to others"


@dataclass(frozen=True, slots=True)
class Url:
    """An object of a store, a folder (all keys that begin with ``KEY/``), or a pattern of objects."""

    scheme: str
    """One of `STORES`."""
    bucket: str
    key: str
    """Without slashes at the ends; empty for the bucket itself."""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    @property
    def path(self) -> str:
        """``BUCKET/KEY``, as fsspec calls it."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def name(self) -> str:
        """The last component of the key; empty for a bucket."""
        return self.key.rpartition("/")[2]

    def below(self, name: str) -> Url:
        """The object `name` in this folder. Raises UsageError as `parse_url` does."""
        return parse_url(f"{self}/{name}")


def is_url(location: object) -> bool:
    """Whether `location` is text that begins with a scheme of two or more letters, known or not, and ``://``."""
    return isinstance(location, str) and _URL.fullmatch(location) is not None


def parse_url(text: str) -> Url:
    """The URL that `text` is.

    Raises UsageError for a scheme other than `STORES`, for credentials in the URL, and for a key that is no path: one
    with an empty component, ``.``, ``..`` or characters that cannot be printed.
    """
    scheme, rest = _parts(text)
    if scheme not in STORES:
        problem = Problem("URL", "one that begins with s3://, gs:// or file://", f"{scheme}://")
        raise UsageError(f"{scheme}://...", [problem], _FIX_SCHEME)
    bucket, _, key = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise _refused(scheme, "no user name or password", "some", _FIX_SECRET)
    if not _BUCKET.fullmatch(bucket):
        found = "another name" if bucket else "none"
        raise _refused(scheme, "the name of a bucket, then a key", found, f"write {scheme}://BUCKET/KEY")
    query = _QUERY.search(key)
    if query is not None:
        shown = f"{scheme}://{bucket}/{key[: query.start()]}"
        raise _refused(shown, "no query, such as a signature", "one", _FIX_SECRET)
    key = key.removesuffix("/")
    components = key.split("/") if key else []
    if any(one in ("", ".", "..") for one in components) or not key.isprintable() or "\\" in key:
        found = "an empty component, a dot alone, or a character that cannot be used"
        raise _refused(f"{scheme}://{bucket}/{key}", "a key that is a path", found, _FIX_KEY)
    return Url(scheme, bucket, key)


def local_path(text: str) -> Path | None:
    """The path of a ``file://`` URL; None for other text. Raises UsageError for that of another machine."""
    if not is_url(text):
        return None
    scheme, rest = _parts(text)
    if scheme != "file":
        return None
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise _refused("file", "an absolute path of this machine", "another", "write file:///PATH, with three slashes")
    from urllib.request import url2pathname  # slow to import

    return Path(url2pathname(slash + path))


def is_pattern(url: Url) -> bool:
    """Whether the key holds a character of patterns. It may be a plain name all the same."""
    return bool(MAGIC & set(url.key))


def _parts(text: str) -> tuple[str, str]:
    found = _URL.fullmatch(text)
    if found is None:
        raise UsageError(text, [Problem("URL", "SCHEME://PATH", "no scheme")], "write s3://BUCKET/KEY")
    return found[1].lower(), found[2]


def _refused(shown: str, expected: str, found: str, fix: str) -> UsageError:
    source = shown if "://" in shown else f"{shown}://..."
    return UsageError(source, [Problem("URL", expected, found)], fix)
