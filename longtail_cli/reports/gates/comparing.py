"""Whether figures of two reports can be held against each other."""

from __future__ import annotations

from longtail_cli.reports.model import Signature

DIGITS = 12
"""How much of a digest is shown."""


def differences(ours: Signature, theirs: Signature) -> tuple[str, ...]:
    """What keeps figures of `ours` from being compared with those of the baseline `theirs`; empty where nothing does.

    A sentence each, with how to mend it. Compared are annotations, protocol, cap, IoU types (the baseline must hold
    ours), TIDE mode (where both hold a breakdown) and frequency groups. The version of the tool is not; of a frequency
    table only the groups that it makes are.
    """
    found = (_annotations(ours, theirs), _protocol(ours, theirs), _cap(ours, theirs), _iou_types(ours, theirs),
             _tide(ours, theirs), _groups(ours, theirs))  # fmt: skip
    return tuple(sentence for sentence in found if sentence)


def _annotations(ours: Signature, theirs: Signature) -> str | None:
    if ours.annotations_sha256 == theirs.annotations_sha256:
        return None
    word = "labels" if ours.protocol == "classification" else "annotations"
    return f"{word}: {_data(ours)} here, {_data(theirs)} in the baseline; evaluate both on the same file"


def _data(one: Signature) -> str:
    return f"{one.images:,} images, {one.categories:,} categories, SHA-256 {one.annotations_sha256[:DIGITS]}"


def _protocol(ours: Signature, theirs: Signature) -> str | None:
    if ours.protocol == theirs.protocol:
        return None
    mend = "" if "classification" in (ours.protocol, theirs.protocol) else " with the same --protocol"
    return f"protocol: {ours.protocol} here, {theirs.protocol} in the baseline; evaluate both{mend or ' as the same'}"


def _cap(ours: Signature, theirs: Signature) -> str | None:
    if ours.max_dets == theirs.max_dets:
        return None
    here, there = ("none" if cap is None else f"{cap}" for cap in (ours.max_dets, theirs.max_dets))
    return f"cap: {here} here, {there} in the baseline; evaluate both with the same --max-dets"


def _iou_types(ours: Signature, theirs: Signature) -> str | None:
    lacking = [iou_type for iou_type in ours.iou_types if iou_type not in theirs.iou_types]
    if not lacking:
        return None
    here, there = (" and ".join(types) or "none" for types in (ours.iou_types, theirs.iou_types))
    options = " ".join(f"--iou-type {iou_type}" for iou_type in ours.iou_types)
    return f"IoU types: {here} here, {there} in the baseline; write the baseline with {options}"


def _tide(ours: Signature, theirs: Signature) -> str | None:
    if ours.tide == theirs.tide or "off" in (ours.tide, theirs.tide):
        return None
    return f"TIDE: {ours.tide} here, {theirs.tide} in the baseline; evaluate both with the same --tide"


def _groups(ours: Signature, theirs: Signature) -> str | None:
    here, there = ours.groups_sha256, theirs.groups_sha256
    if here == there:
        return None
    mend = "evaluate both with the same --freq"
    if here is None or there is None:
        return f"frequency groups: {_some(here)} here, {_some(there)} in the baseline; {mend}, or write it again"
    return f"frequency groups: categories fall into other groups here than in the baseline; {mend}"


def _some(groups_sha256: str | None) -> str:
    return "none" if groups_sha256 is None else "some"
