"""`ltcal rescore` in parts: the outputs are folders with one file for each part, or Parquet files made of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtail_cli.choices import ScoreSpace
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.output import name_of, no_url, outputs_of
from longtail_cli.files.parts_folder import PartsFolder, join_parquet, new_parts_folder
from longtail_cli.files.paths import is_stream
from longtail_cli.files.stores import StoredFile
from longtail_cli.files.urls import Url
from longtail_cli.methods.base import Method
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.conventions import AS_STATED
from longtail_cli.workflow.options import ConventionOptions, ExecutionOptions, InputOptions, require_torch
from longtail_cli.workflow.partitioned.executions import execution_of
from longtail_cli.workflow.partitioned.rescore_results import rescore_results_in_parts
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.rescore_results import RescoreSummary

if TYPE_CHECKING:
    from longtail_cli.workflow.rescore_logits import LogitsSummary

_FIX_OUTPUT = "name a new folder, which `ltcal report` reads as one run; or leave `engine=` and `memory=` out"


def rescore_in_parts(
    shards: Sequence[StoredFile],
    table: FrequencyTable | None,
    method: Method,
    out: Path,
    execution: ExecutionOptions,
    *,
    inputs: Sequence[Path],
    annotations: Any = None,
    convention: ConventionOptions = AS_STATED,
    score_space: ScoreSpace = "prob",
    url_of: Callable[[Path], Url | None] = no_url,
    progress: Progress = no_progress,
) -> RescoreSummary:
    """As `rescore_results.rescore`, in parts. The detections of the output are those of a single process, in order.

    shards: the result files of a run. out: a new or empty folder, or a file that ends in ``.parquet`` if all shards are
    Parquet. It appears when all is done; after an exception nothing has changed. inputs: the paths that are read.
    url_of: as for `outputs_of`.
    Raises as `rescore` and `rescore_results_in_parts`, UsageError for another output, and as `execution_of`.
    """
    _check_outputs([out], columnar=all(file.name.endswith(".parquet") for file in shards))
    with _staged([out], inputs, url_of) as staged, execution_of(execution) as running:
        summary, names = rescore_results_in_parts(
            shards, table, method, staged[0].folder, running, annotations=annotations, convention=convention,
            score_space=score_space, memory=execution.memory, progress=progress,
        )  # fmt: skip
        staged[0].complete(names)
    return summary


def rescore_logits_in_parts(
    path: Path | str,
    table: FrequencyTable | None,
    methods: Sequence[Method],
    outs: Sequence[Path],
    execution: ExecutionOptions,
    *,
    options: InputOptions,
    inputs: Sequence[Path],
    annotations: Path | None = None,
    url_of: Callable[[Path], Url | None] = no_url,
    progress: Progress = no_progress,
) -> tuple[LogitsSummary, ...]:
    """As `rescore_logits.rescore_logits` for detection logits, in parts.

    path: of a file or a folder of shards, or its URL as text. outs: for each method a new or empty folder, or a file
    that ends in ``.parquet``; as for `rescore_in_parts`.
    Raises as `rescore_logits`, UsageError for other outputs and logits of a classifier, and as `execution_of`.
    """
    require_torch()
    from longtail_cli.workflow.partitioned.rescore_logits import write_parts
    from longtail_cli.workflow.rescore_logits import check_one_each

    check_one_each(methods, outs)
    _check_outputs(outs, columnar=True)
    with _staged(outs, inputs, url_of) as staged, execution_of(execution) as running:
        folders = [one.folder for one in staged]
        summaries, names = write_parts(
            path, table, methods, folders, running, options=options, annotations=annotations, progress=progress
        )
        for one in staged:
            one.complete(names)
    return summaries


@dataclass(frozen=True, slots=True)
class _Output:
    """An output while it is written."""

    folder: PartsFolder
    file: Path | None
    """The file that is made of the parts, which are on this machine then; None if the folder is the output."""

    def complete(self, names: Sequence[str]) -> None:
        """All parts are in the folder, with these names."""
        if self.file is not None:
            join_parquet([Path(self.folder.temporary, name) for name in names], self.file)


@contextmanager
def _staged(
    outs: Sequence[Path], inputs: Sequence[Path], url_of: Callable[[Path], Url | None]
) -> Iterator[list[_Output]]:
    """The outputs in private folders, which get their names if the block ends well."""
    files = [out for out in outs if _is_file(out)]
    with outputs_of(files, inputs=inputs, url_of=url_of) as staged, ExitStack() as stack:
        found = []
        for out in outs:
            if out in staged:
                parts = staged[out].parent / "parts"
                parts.mkdir()
                found.append(_Output(PartsFolder(str(parts), str(out)), staged[out]))
            else:
                folder = stack.enter_context(new_parts_folder(str(url_of(out) or out)))
                found.append(_Output(folder, None))
        yield found


def _is_file(out: Path) -> bool:
    return out.name.endswith(".parquet") and not out.is_dir()


def _check_outputs(outs: Sequence[Path], *, columnar: bool) -> None:
    """Raise UsageError for an output that is no folder, unless it is Parquet and so are the parts (`columnar`)."""
    for out in outs:
        other_file = is_stream(out) or (out.name.endswith((".json", ".gz")) and not out.is_dir())
        if other_file or (_is_file(out) and not columnar):
            expected = "a folder, or a file that ends in .parquet" if columnar else "a folder, as the results are JSON"
            raise UsageError(name_of(out), [Problem("output", expected, "another file")], _FIX_OUTPUT)
