"""Private folders for what is not finished: locked by the process that uses them, cleaned up after one that died.

A folder ``.ltcal-*`` lies beside the files that are to be replaced. If they are several, the first folder also holds
the decision to replace them, a list of renames that is complete before the first of them. The next process that works
in the same folder finishes renames that were decided on, and removes all else that a dead process left there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PREFIX = ".ltcal-"
_LOCK, _RENAMES, _DECIDED_IN = "lock", "renames.json", "decided-in.json"
_ATTEMPTS = 100
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Rename:
    """A file in a private folder, and the path it is to get. Both absolute, and without links in their folders."""

    staged: Path
    target: Path


@contextmanager
def private_folder(parent: Path, decided_in: Path | None = None) -> Iterator[Path]:
    """A new folder in `parent` for this process alone, removed when the block ends. Cleans up `parent` first.

    decided_in: the private folder that will hold the renames of this one's files; None for this one itself.
    Raises OSError if the folder cannot be made. On a file system without locks nothing is ever cleaned up.
    """
    clean_up(parent)
    with ExitStack() as stack:
        with signals_held():
            folder, lock = _new_folder(parent)
            stack.callback(_remove, folder, lock)
            if decided_in is not None:
                (folder / _DECIDED_IN).write_text(json.dumps(str(decided_in)))
        yield folder


def temporary_folder() -> Path:
    """The folder for temporary files, as a parent of private folders.

    It is that of `tempfile`, which writes a file to a folder to try it. A process that is stopped then would leave that
    file there, so a folder that was set is tried by its permissions alone.
    """
    given = os.environ.get("TMPDIR")
    if given and tempfile.tempdir is None and Path(given).is_dir() and os.access(given, os.W_OK | os.X_OK):
        return Path(given).resolve()
    with signals_held():
        return Path(tempfile.gettempdir()).resolve()


def temporary_file(folder: Path | None = None) -> IO[bytes]:
    """A file without a name in `folder`, by default the folder for temporary files. Raises OSError."""
    with signals_held():
        return tempfile.TemporaryFile(prefix="ltcal-", dir=folder or temporary_folder())


@contextmanager
def signals_held() -> Iterator[None]:
    """Interruptions wait until the block ends. In threads other than the main one nothing is to be held."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    held = [number for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)]
    try:
        for number in held:
            signal.signal(number, lambda number, _: waiting.append(number))
        yield
    finally:
        for number in held:
            signal.signal(number, handlers[number])
        for late in waiting[:1]:
            signal.raise_signal(late)


def rename_all(renames: Sequence[Rename], decided_in: Path) -> None:
    """Give all staged files their names, or none of them: if one cannot be renamed, the others are taken back.

    decided_in: the private folder that keeps the decision until all is done. Raises OSError.
    """
    if len(renames) == 1:
        renames[0].staged.replace(renames[0].target)
        return
    decision, done, made = decided_in / _RENAMES, list[Rename](), list[Path]()
    for one in renames:
        _to_disk(one.staged)
    _write_decision(decision, renames)
    try:
        for number, one in enumerate(renames):
            made += _made_folders(one.target.parent)
            before = _private_ancestor(one.staged) / f"before-{number}"
            if one.target.exists():
                _keep(one.target, before)
            one.staged.replace(one.target)
            done.append(Rename(before, one.target))
    except OSError:
        decision.unlink()
        for one in reversed(done):
            one.staged.replace(one.target) if one.staged.exists() else one.target.unlink()
        for folder in reversed(made):
            folder.rmdir()
        raise
    decision.unlink()


def clean_up(parent: Path) -> None:
    """Finish or remove what dead processes of this user left in `parent`."""
    with suppress(OSError):  # a folder that cannot be listed
        for entry in sorted(parent.glob(f"{PREFIX}*")):
            if _is_ours(entry):
                _clean_up_folder(entry)


def _clean_up_folder(folder: Path) -> None:
    with suppress(OSError), ExitStack() as stack:
        if not (folder / _LOCK).exists():
            folder.rmdir()  # of a process that died at once; fails if there is anything in it
            return
        lock = _locked(folder)
        if lock is None:
            return
        stack.callback(lock.close)
        decided_in = _decided_in(folder)
        if decided_in != folder and decided_in.exists():
            other = _locked(decided_in) if _is_ours(decided_in) else None
            if other is None:  # it is being cleaned up by another process
                return
            stack.callback(other.close)
        for one in _decided(decided_in):
            _finish(one)
        shutil.rmtree(folder)
        if decided_in.exists():
            shutil.rmtree(decided_in)


def _finish(one: Rename) -> None:
    """Do a rename that was decided on, unless it was done.

    A decision may come from elsewhere, with an unpacked archive for example. So a file is only renamed to the folder
    that holds its private folder, or below, and through no links.
    """
    home = _private_ancestor(one.staged).parent
    if not one.staged.exists():
        return
    if one.staged.resolve() != one.staged or not one.target.is_relative_to(home) or ".." in one.target.parts:
        raise PermissionError(errno.EPERM, "not a rename of this folder", str(one.target))
    one.target.parent.mkdir(parents=True, exist_ok=True)
    if one.target.parent.resolve() != one.target.parent:
        raise PermissionError(errno.EPERM, "not a rename of this folder", str(one.target))
    one.staged.replace(one.target)


def _new_folder(parent: Path) -> tuple[Path, IO[bytes]]:
    """A new private folder, and its lock. Another process may clean it up before it is locked: then a further one."""
    for _ in range(_ATTEMPTS):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with suppress(FileNotFoundError):
            lock = _locked(folder, new=True)
            if lock is not None:
                return folder, lock
    raise OSError(errno.EAGAIN, "the folder is cleaned up again and again", str(parent))


def _locked(folder: Path, *, new: bool = False) -> IO[bytes] | None:
    """The lock of a private folder, now held by this process, which gives it back by closing it or by dying.

    None if another process holds it. new: a new folder is also taken if the file system has no locks.
    """
    path = folder / _LOCK
    lock = path.open("ab" if new else "r+b")
    try:
        taken = _take(lock) and path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno()))
    except OSError:  # no locks here
        taken = new
    if taken:
        return lock
    lock.close()
    return None


if sys.platform == "win32":
    import msvcrt

    def _take(lock: IO[bytes]) -> bool:
        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _is_ours(folder: Path) -> bool:
        return folder.is_dir() and not folder.is_symlink() and folder.name.startswith(PREFIX)

else:
    import fcntl

    def _take(lock: IO[bytes]) -> bool:
        """Whether the lock was free. Raises OSError if the file system has no locks."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_ours(folder: Path) -> bool:
        """Whether it is a private folder of this user, as `private_folder` makes them."""
        try:
            status = folder.lstat()
        except OSError:
            return False
        private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == stat.S_IRWXU
        return private and status.st_uid == os.geteuid() and folder.name.startswith(PREFIX)


def _remove(folder: Path, lock: IO[bytes]) -> None:
    with signals_held():
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _private_ancestor(path: Path) -> Path:
    """The private folder that holds `path`. Raises OSError if none does."""
    for folder in path.parents:
        if _is_ours(folder):
            return folder
    raise FileNotFoundError(errno.ENOENT, "no private folder", str(path))


def _write_decision(path: Path, renames: Sequence[Rename]) -> None:
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps([[str(one.staged), str(one.target)] for one in renames]))
    _to_disk(unfinished)
    unfinished.replace(path)


def _decided(folder: Path) -> list[Rename]:
    """The renames that were decided on in a private folder; empty if none were. Raises OSError if they are broken."""
    path = folder / _RENAMES
    if not path.exists():
        return []
    try:
        return [Rename(Path(staged), Path(target)) for staged, target in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise OSError(errno.EINVAL, "no list of renames", str(path)) from error


def _decided_in(folder: Path) -> Path:
    """The private folder with the decision about the files of `folder`."""
    path = folder / _DECIDED_IN
    try:
        return Path(json.loads(path.read_text())) if path.exists() else folder
    except (ValueError, TypeError):  # cut short: it died before anything was written
        return folder


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _keep(path: Path, name: Path) -> None:
    """Give a file a second name; a copy where there are no hard links."""
    try:
        name.hardlink_to(path)
    except OSError:
        shutil.copy2(path, name)


def _made_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the new ones, the uppermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()][::-1]
    for one in missing:
        one.mkdir(exist_ok=True)
    return missing
