"""Files of this machine that become objects of a store: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from longtail_cli.errors import LtcalError, OutputError
from longtail_cli.files.stores.systems import info_of, store_errors, store_of
from longtail_cli.files.urls import Url, parse_url

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def check_buckets(urls: Iterable[Url]) -> None:
    """Raise OutputError unless the buckets exist, as far as the store says so without writing to them."""
    for bucket in dict.fromkeys(parse_url(f"{url.scheme}://{url.bucket}") for url in urls):
        store = store_of(bucket)
        with store_errors(bucket, OutputError, store), suppress(PermissionError):
            info_of(store, bucket.path)


@contextmanager
def uploaded(files: Mapping[Url, Path]) -> Iterator[None]:
    """Upload `files`, by their URLs, before the block runs.

    If one of them cannot be uploaded, or the block ends in an exception, those that were new in the store are removed
    again, as well as that can be done; one that replaced an older object stays. A store shows an object only when all
    of it is there. Raises OutputError.
    """
    with ExitStack() as undo:
        for url, path in files.items():
            store = store_of(url)
            with store_errors(url, OutputError, store):
                if _is_new(store, url):
                    undo.callback(remove, url)
                store.put_file(str(path), url.path)
        yield
        undo.pop_all()


@contextmanager
def published(url: Url, path: Path) -> Iterator[Path]:
    """`path`, which is uploaded to `url` if the block ends well. Raises OutputError."""
    check_buckets([url])
    yield path
    with uploaded({url: path}):
        pass


def _is_new(store: AbstractFileSystem, url: Url) -> bool:
    """Whether the object is known not to exist."""
    try:
        info_of(store, url.path)
    except FileNotFoundError:
        return True
    except PermissionError:
        pass
    return False


def remove(url: Url) -> None:
    """Remove an object, if that can be done."""
    store = store_of(url)
    with suppress(LtcalError), store_errors(url, OutputError, store):
        store.rm_file(url.path)
