"""A part of logits that are in a store, copied to this machine in few long reads before it is processed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from longtail_cli.files.logits.opening import naming_urls
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.logits.shards import SafetensorsShard, Shard
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores import opened
from longtail_cli.files.texts import named_as_given

_PIECE = 1 << 25


@contextmanager
def fetched(part: LogitsFile) -> Iterator[LogitsFile]:
    """The rows of a part in temporary files for the time of the block; itself if its shards are files of this machine.

    Errors of the block name the objects. Raises InputError as `opened`, and if an object ends early.
    """
    if not any(isinstance(shard, SafetensorsShard) and shard.stored is not None for shard in part.parts):
        yield part
        return
    with naming_urls(), private_folder(temporary_folder()) as folder:
        copies = {str(folder / str(number)): str(shard.path) for number, shard in enumerate(part.parts)}
        with named_as_given(copies):
            shards = [_copied(shard, Path(path), part) for shard, path in zip(part.parts, copies, strict=True)]
            yield replace(part, parts=tuple(shards))


def _copied(shard: Shard, path: Path, part: LogitsFile) -> Shard:
    """The streamed tensors of a shard, one after another in the new file `path`."""
    if not isinstance(shard, SafetensorsShard) or shard.stored is None:
        return shard
    offsets = {}
    with opened(shard.stored) as stream, path.open("wb") as copy:
        for name in part.streamed:
            offsets[name] = copy.tell()
            left = shard.tensors[name].shape[0] * shard.row_bytes(name)
            stream.seek(shard.offsets[name])
            while left:
                piece = stream.read(min(left, _PIECE))
                if not piece:
                    break  # reading the copy says that it ends early
                copy.write(piece)
                left -= len(piece)
    tensors = {name: shard.tensors[name] for name in part.streamed}
    return SafetensorsShard(path, tensors, {}, offsets, shard.first)
