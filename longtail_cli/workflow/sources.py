"""The files of a report, one after another: read, corrected by each method, and if need be decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from longtail_cli.adjust.base import Method
from longtail_cli.adjust.registry import parse_method
from longtail_cli.adjust.scores import ScoreSpace
from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluate.protocol import IouType
from longtail_cli.tables import FrequencyTable, Results
from longtail_cli.workflow.inputs import LogitOptions, kind_of, require_torch
from longtail_cli.workflow.runs import Candidate, Source, read_in_turn
from longtail_cli.workflow.telling import Say
from longtail_cli.workflow.two_way import corrected


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
    say: Say,
) -> Iterator[Source]:
    """A source for each file, with a candidate for each method. Arguments as for `reporting.report`."""
    logits = [path for path in predictions if kind_of(path) == "logits"]
    if logits and tuple(types) != ("bbox",):
        problem = Problem("--iou-type", "bbox", ", ".join(types))
        raise UsageError(str(logits[0]), [problem], "logits come with boxes alone; evaluate masks from a result file")
    results = read_in_turn([path for path in predictions if path not in logits], types, pool, say)

    def one_by_one() -> Iterator[Source]:
        for path, own_names in zip(predictions, names, strict=True):
            if path in logits:
                yield _of_logits(path, methods, table, options, own_names, say)
            else:
                candidates = _of_results(next(results), methods, table, score_space, own_names)
                yield Source(path, digests[path].result(), candidates)

    return one_by_one()


def _of_results(
    results: Results, methods: Sequence[Method], table: FrequencyTable | None, space: ScoreSpace, names: Sequence[str]
) -> tuple[Candidate, ...]:
    if not methods:
        return (Candidate(names[0], None, results),)
    found = [corrected(results, table, method, space) for method in methods]
    return tuple(
        Candidate(name, method.spec, one.results, one.notes)
        for name, method, one in zip(names, methods, found, strict=True)
    )


def _of_logits(
    path: Path,
    methods: Sequence[Method],
    table: FrequencyTable | None,
    options: LogitOptions,
    names: Sequence[str],
    say: Say,
) -> Source:
    require_torch()
    from longtail_cli.workflow.correcting import opened, plans_for
    from longtail_cli.workflow.decoding import as_results, decoded_whole, objectness_note, saturation_note
    from longtail_cli.workflow.inputs import device_of

    device, file = device_of(options.device), opened(path, options)
    plans = plans_for(file, methods or (parse_method("none"),), table, options, device)
    found = decoded_whole(file, plans, options, device, say)
    about_file = objectness_note(file, options)
    candidates = tuple(
        Candidate(
            name,
            plan.spec,
            as_results(one, str(path)),
            plan.notes + about_file + saturation_note(int((one.score == 1).sum())),
        )
        for name, plan, one in zip(names, plans, found, strict=True)
    )
    return Source(path, None, candidates, tuple(one.place for one in found))
