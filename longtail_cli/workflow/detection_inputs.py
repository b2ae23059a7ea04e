"""The files of a report, one after another: read, corrected by each method, and if need be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from longtail_cli.adjust.base import Method
from longtail_cli.adjust.registry import parse_method
from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluate.options import IouType
from longtail_cli.tables import FrequencyTable, Results, ScoreSpace
from longtail_cli.workflow.detection_runs import RunInput, Source, read_in_turn
from longtail_cli.workflow.options import LogitOptions, kind_of, require_torch
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.rescore_results import adjust_results


def sources_of(
    predictions: Sequence[Path],
    methods: Sequence[Method],
    table: FrequencyTable | None,
    types: Sequence[IouType],
    options: LogitOptions,
    score_space: ScoreSpace,
    names: Sequence[Sequence[str]],
    digests: Mapping[Path, Future[str]],
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> Iterator[Source]:
    """A source for each file, with a candidate for each method. Arguments as for `reporting.report`."""
    logits = [path for path in predictions if kind_of(path) == "logits"]
    if logits and tuple(types) != ("bbox",):
        problem = Problem("--iou-type", "bbox", ", ".join(types))
        raise UsageError(str(logits[0]), [problem], "logits come with boxes alone; evaluate masks from a result file")
    results = read_in_turn([path for path in predictions if path not in logits], types, pool, progress)

    def iterate() -> Iterator[Source]:
        for path, own_names in zip(predictions, names, strict=True):
            if path in logits:
                yield _of_logits(path, methods, table, options, own_names, progress)
            else:
                candidates = _of_results(next(results), methods, table, score_space, own_names)
                yield Source(path, digests[path].result(), candidates)

    return iterate()


def _of_results(
    results: Results, methods: Sequence[Method], table: FrequencyTable | None, space: ScoreSpace, names: Sequence[str]
) -> tuple[RunInput, ...]:
    if not methods:
        return (RunInput(names[0], None, results),)
    found = [adjust_results(results, table, method, space) for method in methods]
    return tuple(
        RunInput(name, method.spec, one.results, one.notes)
        for name, method, one in zip(names, methods, found, strict=True)
    )


def _of_logits(
    path: Path,
    methods: Sequence[Method],
    table: FrequencyTable | None,
    options: LogitOptions,
    names: Sequence[str],
    progress: Progress,
) -> Source:
    require_torch()
    from longtail_cli.workflow.decode_logits import as_results, decode_all, objectness_note, saturation_note
    from longtail_cli.workflow.options import device_of
    from longtail_cli.workflow.prepare_methods import open_with_options, prepare_methods

    device, file = device_of(options.device), open_with_options(path, options)
    prepared = prepare_methods(file, methods or (parse_method("none"),), table, options, device)
    found = decode_all(file, prepared, options, device, progress)
    about_file = objectness_note(file, options)
    candidates = tuple(
        RunInput(
            name,
            one.spec,
            as_results(decoded, str(path)),
            one.notes + about_file + saturation_note(int((decoded.score == 1).sum())),
        )
        for name, one, decoded in zip(names, prepared, found, strict=True)
    )
    return Source(path, None, candidates, tuple(one.place for one in found))
