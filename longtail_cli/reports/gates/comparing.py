"""Whether metrics of two reports can be compared."""

from __future__ import annotations

from longtail_cli.reports.model import Signature

DIGITS = 12
"""Digits of a digest that are shown."""


def differences(ours: Signature, theirs: Signature) -> tuple[str, ...]:
    """Why metrics of `ours` cannot be compared with those of the baseline `theirs`; empty if they can.

    One sentence each, with a fix. Annotations, the split of their images, protocol, max_dets, IoU types (the baseline
    must hold ours), TIDE mode and rules (if both hold a breakdown), frequency groups and the images of slices (of those
    that both hold) must agree; the version of the tool and the rest of a frequency table need not.
    """
    checks = (_annotations, _split, _protocol, _max_dets, _iou_types, _tide, _groups, _slices)
    found = (check(ours, theirs) for check in checks)
    return tuple(sentence for sentence in found if sentence)


def _annotations(ours: Signature, theirs: Signature) -> str | None:
    if ours.annotations_sha256 == theirs.annotations_sha256:
        return None
    word = "labels" if ours.protocol == "classification" else "annotations"
    return f"{word}: {_data(ours)} here, {_data(theirs)} in the baseline; evaluate both on the same file"


def _split(ours: Signature, theirs: Signature) -> str | None:
    if ours.split == theirs.split:
        return None
    here, there = (one.split or "all" for one in (ours, theirs))
    return f"images: {here} here, {there} in the baseline; evaluate both on the same images"


def _data(one: Signature) -> str:
    return f"{one.images:,} images, {one.categories:,} categories, SHA-256 {one.annotations_sha256[:DIGITS]}"


def _protocol(ours: Signature, theirs: Signature) -> str | None:
    if ours.protocol == theirs.protocol:
        return None
    fix = "for the same task" if "classification" in (ours.protocol, theirs.protocol) else "with the same `protocol=`"
    return f"protocol: {ours.protocol} here, {theirs.protocol} in the baseline; evaluate both {fix}"


def _max_dets(ours: Signature, theirs: Signature) -> str | None:
    if ours.max_dets == theirs.max_dets:
        return None
    here, there = ("none" if limit is None else f"{limit}" for limit in (ours.max_dets, theirs.max_dets))
    return f"max_dets: {here} here, {there} in the baseline; evaluate both with the same `max_dets=`"


def _iou_types(ours: Signature, theirs: Signature) -> str | None:
    lacking = [iou_type for iou_type in ours.iou_types if iou_type not in theirs.iou_types]
    if not lacking:
        return None
    here, there = (" and ".join(types) or "none" for types in (ours.iou_types, theirs.iou_types))
    options = " and ".join(f"`iou_types='{iou_type}'`" for iou_type in ours.iou_types)
    return f"IoU types: {here} here, {there} in the baseline; write the baseline with {options}"


def _tide(ours: Signature, theirs: Signature) -> str | None:
    if "off" in (ours.tide, theirs.tide):
        return None
    if ours.tide == theirs.tide:
        return _tide_rules(ours, theirs)
    return f"TIDE: {ours.tide} here, {theirs.tide} in the baseline; evaluate both with the same `tide=`"


def _tide_rules(ours: Signature, theirs: Signature) -> str | None:
    here, there = ours.tide_rules, theirs.tide_rules
    if here == there:
        return None
    which = "earlier" if (there or 0) < (here or 0) else "later"
    about = f"TIDE: the baseline follows {which} rules of `tide='{ours.tide}'` (ltcal {theirs.version})"
    fix = "write it again with this version" if which == "earlier" else "update ltcal"
    return f"{about}; {fix}, or evaluate with `tide='off'`"


def _groups(ours: Signature, theirs: Signature) -> str | None:
    here, there = ours.groups_sha256, theirs.groups_sha256
    if here == there:
        return None
    fix = "evaluate both with the same `frequencies=`"
    if here is None or there is None:
        return f"frequency groups: {_some(here)} here, {_some(there)} in the baseline; {fix}"
    return f"frequency groups: categories are in other groups here than in the baseline; {fix}"


def _slices(ours: Signature, theirs: Signature) -> str | None:
    here, there = ours.slices_sha256, theirs.slices_sha256
    other = [name for name in here if there.get(name, here[name]) != here[name]]
    if not other:
        return None
    return f"slices: other images than in the baseline in {', '.join(other)}; evaluate both with the same `slices=`"


def _some(groups_sha256: str | None) -> str:
    return "none" if groups_sha256 is None else "some"
