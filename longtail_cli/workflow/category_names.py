"""Names of categories that a frequency table and annotations both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.tables import FrequencyTable, GroundTruth, Longs
from longtail_cli.workflow.names import normalised

_SHOWN = 3


def compared_names(table: FrequencyTable | None, truth: GroundTruth) -> tuple[str, ...]:
    """A note if some categories have other names in the table than in the annotations; empty if there is no table.

    Names are compared without regard to case, spaces, hyphens and underscores; those that are empty or numbers are left
    out. A synonym, which only one of the two knows, is worth a note. Raises InputError for names that both know, but
    with another id: then the counts are those of other classes.
    """
    if table is None:
        return ()
    counted, known = _names(table.category_id, table.name), _names(truth.categories.id, truth.categories.name)
    differing = [id_ for id_, name in counted.items() if id_ in known and normalised(known[id_]) != normalised(name)]
    by_name = _ids(known)
    moved = {id_: by_name[normalised(counted[id_])] for id_ in differing if normalised(counted[id_]) in by_name}
    if moved:
        expected = f"the same class in {truth.source}"
        problems = [
            Problem(f"category_id {id_} ({counted[id_]})", expected, f"it has id {other} there")
            for id_, other in list(moved.items())[:MAX_PROBLEMS]
        ]
        fix = "count the training set that has the ids of these annotations, or correct the ids in the table"
        raise InputError("`frequencies=`", problems, fix, total=len(moved))
    if not differing:
        return ()
    shown = "; ".join(f"{id_} is {counted[id_]!r} and {known[id_]!r}" for id_ in differing[:_SHOWN])
    more = ", ..." if len(differing) > _SHOWN else ""
    both = f"the frequency table and {truth.source} have different names for {len(differing)} of the ids"
    return (f"{both}: {shown}{more}",)


def _names(ids: Longs, names: Sequence[str]) -> dict[int, str]:
    """The names by id that tell something."""
    pairs = zip(ids.tolist(), names, strict=True)
    return {id_: name for id_, name in pairs if name.strip() and not name.strip().isdecimal()}


def _ids(names: Mapping[int, str]) -> dict[str, int]:
    """The id of each name that is of one category."""
    found: dict[str, int] = {}
    several = set()
    for id_, name in names.items():
        key = normalised(name)
        if found.setdefault(key, id_) != id_:
            several.add(key)
    return {key: id_ for key, id_ in found.items() if key not in several}
