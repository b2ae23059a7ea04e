"""Locations: URLs that are refused, and files of this machine. The stores themselves are in tests/cluster."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.errors import InputError, MissingExtraError, UsageError
from longtail_cli.files.parts_folder import new_parts_folder
from longtail_cli.files.stores import StoredFile, listed, opened, staged
from longtail_cli.files.urls import is_url, local_path, parse_url

ENTRIES = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.8}]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(json.dumps(ENTRIES))


@pytest.mark.parametrize("text", ["s3://b/k", "S3://b", "gs://b/k", "file:///a", "https://a/b"])
def test_text_with_a_scheme_is_a_url(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", ["a/b", "/a", "C://a", "s3:/a", "-", "", "@s3://b/k", Path("s3://b"), None])
def test_all_else_is_no_url(text: object) -> None:
    assert not is_url(text)


def test_a_url_has_a_bucket_and_a_key() -> None:
    url = parse_url("S3://bucket/run/a b%20.json")
    assert (url.scheme, url.bucket, url.key, url.name) == ("s3", "bucket", "run/a b%20.json", "a b%20.json")
    assert str(url) == "s3://bucket/run/a b%20.json"
    assert parse_url("gs://bucket/run/").key == "run"
    assert parse_url("gs://bucket").path == "bucket"
    assert str(url.below("x")) == "s3://bucket/run/a b%20.json/x"


@pytest.mark.parametrize(
    ("text", "source", "problem"),
    [
        ("https://user:secret@host/a.json?key=secret", "https://...", "expected one that begins with s3://"),
        ("s3://user:secret@bucket/a.json", "s3://...", "expected no user name or password"),
        ("s3://user:sec/ret@bucket/a.json", "s3://...", "expected no user name or password"),
        ("s3://bucket/a.json?X-Amz-Signature=secret", "s3://bucket/a.json", "expected no query"),
        ("s3:///a.json", "s3://...", "expected the name of a bucket"),
        ("s3://bucket/../a.json", "s3://bucket/../a.json", "expected a key that is a path"),
        ("s3://bucket//a.json", "s3://bucket//a.json", "expected a key that is a path"),
        ("s3://bucket/a\n.json", "s3://bucket/a", "expected a key that is a path"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_secrets(text: str, source: str, problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_url(text)
    assert refused.value.source.startswith(source)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "ret@" not in str(refused.value)


def test_file_urls_are_paths() -> None:
    assert local_path("file:///a%20b/c") == local_path("FILE://localhost/a%20b/c") == Path("/a b/c")
    assert local_path("s3://b/k") is local_path("a/b") is None
    with pytest.raises(UsageError, match="three slashes"):
        local_path("file://host/a")


def test_file_urls_are_inputs_and_outputs() -> None:
    here = Path.cwd().as_uri()
    result = CliRunner().invoke(main, ["rescore", f"{here}/in.json", "--method", "none", "-o", f"{here}/out.json"])
    assert result.exit_code == 0, result.output
    assert Path("out.json").read_text() == Path("in.json").read_text()
    longtail_cli.rescore(f"{here}/in.json", None, "none", f"{here}/api.json")
    assert Path("api.json").read_text() == Path("in.json").read_text()


@pytest.mark.parametrize("option", ["--annotations", "--json"])
def test_secrets_in_urls_are_not_repeated_by_commands(option: str) -> None:
    url = "s3://user:secret@bucket/a.json"
    result = CliRunner().invoke(main, ["report", "in.json", option, url])
    assert result.exit_code == 2
    assert "expected no user name or password" in result.stderr
    assert "secret" not in result.output


def test_files_are_listed_in_order_with_sizes() -> None:
    for name, size in {"b.json": 2, "a.json": 1, "c.txt": 3, ".d.json": 4}.items():
        Path("run").mkdir(exist_ok=True)
        Path("run", name).write_bytes(b"x" * size)
    Path("run/deeper.json").mkdir()
    found = listed("run", [".json"])
    assert [(one.location, one.size) for one in found] == [("run/a.json", 1), ("run/b.json", 2)]
    assert [one.name for one in listed("run/[bc].*")] == ["b.json", "c.txt"]
    assert listed(Path.cwd().joinpath("run/c.txt").as_uri())[0].location == str(Path.cwd() / "run/c.txt")
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("nothing.json", "nothing.json: file: expected one that can be read, found No such file or directory"),
        ("nothing_*.json", "nothing_*.json: pattern: expected one that fits the name of a file"),
        ("empty", "empty: location: expected files that end in .json, found none"),
    ],
)
def test_a_location_without_files_is_named(location: str, problem: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(InputError) as refused:
        listed(location, [".json"])
    assert str(refused.value).startswith(problem)


def test_a_file_of_this_machine_is_staged_as_it_is() -> None:
    (file,) = listed("in.json")
    with staged(file) as path, opened(file) as content:
        assert path == Path("in.json")
        assert content.read() == path.read_bytes()


def test_a_file_that_changes_after_it_was_listed_is_named() -> None:
    (file,) = listed("in.json")
    Path("in.json").write_text("[]")
    with pytest.raises(InputError, match=r"in\.json: file: expected no change .*, found 2 bytes"), staged(file):
        pass
    os.utime("in.json", ns=(0, 0))
    same_size = StoredFile("in.json", 2, "1")
    with pytest.raises(InputError, match="found other content"), opened(same_size):
        pass


def test_the_files_of_parts_appear_together() -> None:
    with new_parts_folder("parts") as folder:
        for number in (0, 1, 1):
            with pickle.loads(pickle.dumps(folder)).part(f"{number}.json") as path:
                path.write_text(str(number))
        assert not Path("parts").exists()
    assert sorted(path.name for path in Path("parts").iterdir()) == ["0.json", "1.json"]


def test_a_failed_part_leaves_nothing() -> None:
    with pytest.raises(InputError, match=r"^parts/0\.json: "), new_parts_folder("parts") as folder:
        _write_part(folder.part)
    assert sorted(path.name for path in Path().iterdir()) == ["in.json"]


def _write_part(part: object) -> None:
    with part("0.json") as path:  # type: ignore[operator]
        path.write_text("no JSON")
        longtail_cli.read_report(path)


def test_a_store_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(Path(longtail_cli.__file__).parents[1])])  # no packages but this one
    for scheme, package in {"s3": "s3fs", "gs": "gcsfs"}.items():
        monkeypatch.delitem(sys.modules, package, raising=False)
        with pytest.raises(MissingExtraError, match=rf"{package}, for {scheme}:// URLs.*\n.*ltcal\[{scheme}\]"):
            listed(f"{scheme}://bucket/a.json")


def test_commands_on_files_of_this_machine_import_nothing_for_stores() -> None:
    command = (
        "import sys; from longtail_cli.cli import main\n"
        "main(['rescore', 'in.json', '--method', 'none', '-o', 'out.json'], standalone_mode=False)\n"
        "found = {'fsspec', 's3fs', 'gcsfs', 'aiohttp', 'longtail_cli.files.stores'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", command], check=True, timeout=60)
