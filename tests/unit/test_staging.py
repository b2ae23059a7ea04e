"""Private folders: who owns them, what is cleaned up, and what a hostile one may not do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longtail_cli.files.staging import Rename, clean_up, private_folder, rename_all, signals_held


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def dead(parent: Path, name: str, files: dict[str, object]) -> Path:
    """What a process left that died while it used a private folder."""
    folder = parent / f".ltcal-{name}"
    folder.mkdir(mode=0o700)
    for path, content in {"lock": "", **files}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_a_folder_is_private_and_removed(tmp_path: Path) -> None:
    with private_folder(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a").write_text("x")
    assert left(tmp_path) == []


def test_an_exception_removes_it_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), private_folder(tmp_path):
        raise KeyboardInterrupt
    assert left(tmp_path) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    with private_folder(tmp_path) as folder, private_folder(tmp_path):
        clean_up(tmp_path)
        assert folder.is_dir()


def test_what_was_not_decided_is_removed(tmp_path: Path) -> None:
    dead(tmp_path, "a", {"0/out.json": "new"})
    clean_up(tmp_path)
    assert left(tmp_path) == []


def test_a_process_may_die_before_it_has_the_lock(tmp_path: Path) -> None:
    (tmp_path / ".ltcal-a").mkdir(mode=0o700)
    clean_up(tmp_path)
    assert left(tmp_path) == []


def test_renames_that_were_decided_on_are_finished_from_each_place(tmp_path: Path) -> None:
    for first in ("a", "b"):
        one, two = tmp_path / first / "one", tmp_path / first / "two"
        one.mkdir(parents=True)
        two.mkdir()
        other = dead(two, "2", {"1/y": "new y"})
        folder = dead(one, "1", {"0/x": "new x", "renames.json": [
            [str(one / ".ltcal-1/0/x"), str(one / "x")], [str(other / "1/y"), str(two / "deep/er/y")]]})  # fmt: skip
        (other / "decided-in.json").write_text(json.dumps(str(folder)))
        (one / "x").write_text("old x")
        clean_up(one if first == "a" else two)
        assert (one / "x").read_text() == "new x"
        assert (two / "deep/er/y").read_text() == "new y"
        clean_up(one)
        clean_up(two)
        assert left(tmp_path / first) == ["one", "one/x", "two", "two/deep", "two/deep/er", "two/deep/er/y"]


def test_a_decision_that_is_gone_was_carried_out(tmp_path: Path) -> None:
    dead(tmp_path, "a", {"0/x": "x", "decided-in.json": str(tmp_path / ".ltcal-gone")})
    clean_up(tmp_path)
    assert left(tmp_path) == []


def test_a_rename_to_elsewhere_is_not_finished(tmp_path: Path) -> None:
    """A folder may come with an unpacked archive."""
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (home / "link").symlink_to(outside)
    for number, (staged, target) in enumerate(
        [
            ("0/x", outside / "x"),
            ("0/x", home / "../outside/x"),
            ("0/x", home / "link/x"),
            ("link/secret", home / "secret"),
        ]
    ):
        folder = dead(home, str(number), {"0/x": "evil"})
        (folder / "link").symlink_to(outside)
        (folder / "renames.json").write_text(json.dumps([[str(folder / staged), str(target)]]))
    clean_up(home)
    assert left(outside) == ["secret"]
    assert not (home / "secret").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '[["a"]]', '[["/etc/hostname", "x"]]'])
def test_a_broken_decision_is_left_alone(tmp_path: Path, content: str) -> None:
    dead(tmp_path, "a", {"renames.json": content})
    clean_up(tmp_path)
    assert ".ltcal-a/renames.json" in left(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs modes of folders")
def test_folders_that_others_may_enter_are_not_ours(tmp_path: Path) -> None:
    dead(tmp_path, "a", {"0/x": "x"}).chmod(0o755)
    (tmp_path / "real").mkdir()
    (tmp_path / ".ltcal-link").symlink_to(tmp_path / "real")
    clean_up(tmp_path)
    assert (tmp_path / ".ltcal-a/0/x").exists()
    assert (tmp_path / "real").exists()


def test_all_or_none_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old a")
    (tmp_path / "c").mkdir()
    with private_folder(tmp_path) as folder:
        renames = []
        for name in ("a", "new/b", "c"):
            staged = folder / name.replace("/", "-")
            staged.write_text(f"new {name}")
            renames.append(Rename(staged, tmp_path / name))
        with pytest.raises(IsADirectoryError):
            rename_all(renames, folder)
    assert left(tmp_path) == ["a", "c"]
    assert (tmp_path / "a").read_text() == "old a"


def test_without_hard_links_old_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError(1, "no links")))
    test_all_or_none_are_renamed(tmp_path)


def test_signals_wait(tmp_path: Path) -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []
    signal.signal(signal.SIGTERM, lambda *_: seen.append("handled"))
    try:
        with signals_held():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []
        assert seen == ["handled"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_library_installs_no_handler() -> None:
    script = (
        "import signal, longtail_cli; longtail_cli.rescore; "
        "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "
        "signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
