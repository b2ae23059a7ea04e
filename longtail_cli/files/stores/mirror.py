"""A folder of this machine for what URLs name: copies of inputs, and outputs until they are uploaded.

The path of an object is that of its URL, ``ROOT/s3/BUCKET/KEY``. So whatever takes paths takes URLs, files that lie
beside one another do so here, and texts get the URLs back.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from longtail_cli.errors import InputError, OutputError, Problem
from longtail_cli.files.paths import FOLDER_SUFFIXES, RESULT_SUFFIXES, sidecars
from longtail_cli.files.report_files import resamples_path
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores.objects import download, found, listed
from longtail_cli.files.urls import STORES, Url, parse_url

_FOLDER_SUFFIXES = (*FOLDER_SUFFIXES, *RESULT_SUFFIXES)
"""Of files that are read if they are in an input folder, with their metadata."""


class Mirror:
    """Paths for URLs, in a temporary folder that is removed with the stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._root = stack.enter_context(private_folder(temporary_folder())) / "urls"
        self._copied: set[Path] = set()

    def path_of(self, url: Url) -> Path:
        """The path of a URL. Raises InputError for names that are too long for files of this machine."""
        path = self._root.joinpath(url.scheme, *PurePosixPath(url.path).parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = Problem("URL", "names that files of this machine can have", error.strerror or str(error))
            raise InputError(str(url), [problem], "copy the object to one with another name") from error
        return path

    def url_of(self, path: Path) -> Url | None:
        """The URL of a path of this folder; None for all others."""
        if not path.is_relative_to(self._root):
            return None
        scheme, *names = path.relative_to(self._root).parts
        return parse_url(f"{scheme}://{'/'.join(names)}")

    def output(self, url: Url) -> Path:
        """The path for an output. Raises OutputError for a bucket alone."""
        if not url.key:
            raise OutputError(str(url), [Problem("URL", "the name of an object", "a bucket alone")], "name an object")
        return self.path_of(url)

    def copy(self, path: Path) -> None:
        """Copy what `path` stands for, once: an object, those that fit a pattern, or the files of a folder.

        What is read along with an object, if it exists, is copied too: metadata and resamples. Paths of other folders
        are left alone. Raises as `listed` and `download`.
        """
        url = self.url_of(path)
        if url is None or path in self._copied:
            return
        files = listed(str(url), _FOLDER_SUFFIXES)
        for file in files:
            target = self.path_of(parse_url(file.location))
            if target not in self._copied:
                download(file, target)
                self._copied.add(target)
        if path in self._copied:
            self._copy_beside(path)
        self._copied.add(path)

    def as_given(self, text: str) -> str:
        """The text with URLs in the stead of paths of this folder."""
        for scheme in STORES:
            text = text.replace(f"{self._root / scheme}/", f"{scheme}://")
        return text

    def _copy_beside(self, path: Path) -> None:
        beside = (*sidecars(path), *([resamples_path(path)] if path.suffix == ".json" else []))
        for one in beside:
            file = found(str(self.url_of(one)))
            if file is not None and one not in self._copied:
                download(file, one)
                self._copied.add(one)
