"""The words that options may be, named once: types for the checker, tuples for the command line and for messages."""

from __future__ import annotations

from typing import Literal, get_args

IouType = Literal["bbox", "segm"]
ProtocolName = Literal["lvis", "coco"]
ProtocolChoice = Literal["auto", "lvis", "coco"]
TideMode = Literal["aligned", "tidecv", "off"]
ScoreSpace = Literal["prob", "logit"]
HeadName = Literal["softmax", "sigmoid", "bags", "none"]
BackgroundName = Literal["none", "first", "last"]
ObjectnessName = Literal["none", "product", "sqrt"]
CountName = Literal["image", "instance"]
ZeroCountName = Literal["max", "smooth", "error"]
NormalizerName = Literal["occurrences", "images"]
VariantName = Literal["raw", "smooth", "relative", "base2", "base10", "normit", "gombit"]
GateKind = Literal["fail-under", "fail-over", "max-drop", "max-rise"]
JudgedOn = Literal["value", "interval", "significance"]
BoxFormat = Literal["xywh", "xyxy", "cxcywh", "relative-xywh", "relative-xyxy", "relative-cxcywh"]
ImageKey = Literal["id", "name", "position"]
CategoryKey = Literal["id", "index", "name"]
Automatic = Literal["auto"]
TaskName = Literal["classification", "detection"]
SliceKey = Literal["number", "image_id", "file_name", "row"]

TARGETS = ("balanced", "as-is")
"""The class distributions that rows are weighted to, other than the path of a frequency table."""

IOU_TYPES: tuple[IouType, ...] = get_args(IouType)
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
PROTOCOL_CHOICES: tuple[ProtocolChoice, ...] = get_args(ProtocolChoice)
TIDE_MODES: tuple[TideMode, ...] = get_args(TideMode)
SCORE_SPACES: tuple[ScoreSpace, ...] = get_args(ScoreSpace)
HEADS: tuple[HeadName, ...] = ("softmax", "sigmoid", "bags")
"""What a logits file may state; ``none`` is for scores, which no activation follows."""
BACKGROUNDS: tuple[BackgroundName, ...] = get_args(BackgroundName)
OBJECTNESS: tuple[ObjectnessName, ...] = get_args(ObjectnessName)
COUNTS: tuple[CountName, ...] = get_args(CountName)
ZERO_COUNT_POLICIES: tuple[ZeroCountName, ...] = get_args(ZeroCountName)
NORMALIZERS: tuple[NormalizerName, ...] = get_args(NormalizerName)
VARIANTS: tuple[VariantName, ...] = get_args(VariantName)
GATE_KINDS: tuple[GateKind, ...] = get_args(GateKind)
JUDGED_ON: tuple[JudgedOn, ...] = get_args(JudgedOn)
TASKS: tuple[TaskName, ...] = get_args(TaskName)
BOX_FORMATS: tuple[BoxFormat, ...] = get_args(BoxFormat)
"""Corner or centre with width and height, or two corners, in pixels; ``relative-`` in shares of the image's size."""
