"""A folder of text files as one input."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.reading import reading

SUFFIX = ".txt"
_FIX = "check the folder and its permissions, and run again when nothing writes to it"


class FolderContent:
    """The text files in a folder, in the order of their names; those of folders in it and hidden ones are left out.

    As many files are not kept open, each is opened when it is read. Raises InputError if the folder cannot be listed.
    """

    source: str
    """The path as the user gave it."""
    names: tuple[str, ...]
    """The file names, ascending."""
    size: int
    """Bytes of all files."""

    def __init__(self, folder: Path) -> None:
        self.source = str(folder)
        self._folder = folder
        self._versions = self._current_versions()
        self.names = tuple(self._versions)
        self.size = sum(size for size, _ in self._versions.values())

    def contents(self) -> Iterator[bytes]:
        """The content of each file. Raises InputError if one cannot be read, or has changed."""
        with self.unchanged(), reading(self.source, "files that can be read", _FIX):
            for name in self.names:
                with open(os.path.join(self._folder, name), "rb", buffering=0) as file:  # noqa: PTH118, PTH123
                    content = file.read()
                yield content

    def sha256(self) -> str:
        """Hex digest of the name, the size and the content of each file, one after another."""
        digest = hashlib.sha256()
        for name, content in zip(self.names, self.contents(), strict=True):
            digest.update(b"%b\0%d\0" % (os.fsencode(name), len(content)))
            digest.update(content)
        return digest.hexdigest()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raises InputError if files were added, removed or written to since the folder was opened."""
        yield
        if self._current_versions() != self._versions:
            problem = Problem("folder", "no change while it is read", "a change")
            raise InputError(self.source, [problem], "run again when nothing writes to the folder")

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _current_versions(self) -> dict[str, tuple[int, int]]:
        """The size and the time of the last change, in ns, of each file by its name, in order."""
        with (
            reading(self.source, "a folder that can be listed", _FIX, where="folder"),
            os.scandir(self._folder) as all_,
        ):
            wanted = [one for one in all_ if one.name.endswith(SUFFIX) and not one.name.startswith(".")]
            found = {one.name: one.stat() for one in sorted(wanted, key=lambda one: one.name)}
        return {name: (one.st_size, one.st_mtime_ns) for name, one in found.items() if stat.S_ISREG(one.st_mode)}
