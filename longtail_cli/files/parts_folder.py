"""A new folder that workers write one file each to, of this machine or in a store: it appears whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from longtail_cli.errors import LtcalError, OutputError, Problem
from longtail_cli.files.output import cannot_write, new_folder, open_output
from longtail_cli.files.staging import PREFIX, clean_up, private_folder, signals_held, temporary_folder
from longtail_cli.files.stores.systems import store_errors, store_of
from longtail_cli.files.stores.uploads import check_buckets, remove, uploaded
from longtail_cli.files.texts import named_as_given
from longtail_cli.files.urls import Url, is_url, local_path, parse_url


def part_file(number: int) -> str:
    """The name of a part; names are in the order of the parts."""
    return f"part-{number:05d}.parquet"


@dataclass(frozen=True, slots=True)
class PartsFolder:
    """Where the files are until the folder is complete. Can be pickled and used by other processes and machines."""

    temporary: str
    """A path or a URL."""
    location: str
    """The folder as the user gave it, for messages."""

    @contextmanager
    def part(self, name: str) -> Iterator[Path]:
        """A path for the new file `name`, which is in the folder when the block ends well; a second one replaces it.

        Raises OutputError if it cannot be written to.
        """
        if is_url(self.temporary):
            url = parse_url(self.temporary).below(name)
            with (
                private_folder(temporary_folder()) as folder,
                named_as_given({str(folder): self.location, self.temporary: self.location}),
            ):
                yield folder / name
                with signals_held(), uploaded({url: folder / name}):  # else an upload goes on in its own thread
                    pass
            return
        try:
            with private_folder(Path(self.temporary)) as folder, named_as_given({str(folder): self.location}):
                yield folder / name
                (folder / name).replace(Path(self.temporary) / name)
        except OSError as error:
            raise cannot_write(Path(self.location) / name, error) from error

    def check_complete(self, names: Sequence[str]) -> None:
        """Raise OutputError unless all parts are in a folder of this machine: workers on others may have their own.

        What workers that died left in it is removed. In a store all parts are there, or a worker has raised an error.
        """
        if is_url(self.temporary):
            return
        clean_up(Path(self.temporary))
        missing = [name for name in names if not Path(self.temporary, name).is_file()]
        if missing:
            problem = Problem("folder", "one that all workers share with this machine", f"no {missing[0]} in it")
            fix = "choose a folder of a shared file system, or the URL of a folder in a store"
            raise OutputError(self.location, [problem], fix, total=len(missing))


@contextmanager
def new_parts_folder(location: str | os.PathLike[str]) -> Iterator[PartsFolder]:
    """A folder for the files of parts at a path or a URL. Its files get their names when the block ends, in one step on
    this machine and one after another in a store, where ``.ltcal-*`` holds them until then; all are removed after an
    exception.

    Raises OutputError if there is something at `location`, or it cannot be written to.
    """
    text = os.fspath(location)
    path = local_path(text) if is_url(text) else Path(text)
    if path is not None:
        with new_folder(path) as temporary:
            yield PartsFolder(str(temporary), str(path))
        return
    url = parse_url(text)
    check_buckets([url])
    _check_empty(url)
    temporary_url = url.below(f"{PREFIX}{secrets.token_hex(4)}")
    try:
        yield PartsFolder(str(temporary_url), str(url))
        _move(temporary_url, url)
    finally:
        _remove_all(temporary_url)


def join_parquet(parts: Sequence[Path], out: Path) -> None:
    """Write the rows of Parquet files, at least one, to the new file `out`, row group by row group.

    Raises UsageError unless all with rows have the same columns, OutputError if `out` cannot be written to.
    """
    import pyarrow.parquet as pq

    from longtail_cli.files.results.rescored_tables import check_columns, codec_of, write_group

    held = [part for part in parts if pq.read_metadata(part).num_rows] or parts[:1]
    schemas = [pq.read_schema(part) for part in held]
    with open_output(out) as file:
        check_columns(out, schemas, [part.name for part in held])
        with pq.ParquetFile(held[0]) as rows:
            codec = codec_of(rows)
        with pq.ParquetWriter(file, schemas[0], compression=codec) as writer:
            for part in held:
                with pq.ParquetFile(part) as rows:
                    for group in range(rows.num_row_groups):
                        write_group(writer, rows.read_row_group(group))


def _check_empty(url: Url) -> None:
    store = store_of(url)
    with store_errors(url, OutputError, store):
        taken = store.exists(url.path)
    if taken:
        problem = Problem("folder", "a new one", "objects in the store")
        raise OutputError(str(url), [problem], "choose another folder, or remove this one")


def _move(temporary: Url, url: Url) -> None:
    """Give the objects of a folder their names in another one; none of them after an error."""
    store = store_of(url)
    with ExitStack() as undo, store_errors(url, OutputError, store):
        for path in store.find(temporary.path):
            target = url.below(path.rpartition("/")[2])
            undo.callback(remove, target)
            store.cp_file(path, target.path)
        undo.pop_all()


def _remove_all(folder: Url) -> None:
    store = store_of(folder)
    with suppress(LtcalError), store_errors(folder, OutputError, store):
        for path in store.find(folder.path):
            store.rm_file(path)
