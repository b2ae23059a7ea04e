"""The names under which tensors are saved, and which of ours each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.label_names import LABEL_NAMES
from longtail_cli.files.logits.shards import TensorInfo

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "logits": ("logits", "logit", "outputs", "output", "predictions", "preds", "pred", "arr_0"),
        "scores": ("scores", "score", "probs", "prob", "probabilities", "pred_score", "pred_scores"),
        "labels": (*LABEL_NAMES, "arr_1"),
        "features": ("features", "feats", "embeddings"),
    }
)
"""Our names of tensors, and what others call them. ``arr_0`` and ``arr_1`` are those of numpy.savez without names; the
first and the second array of a tuple are called so too, and so is the only array of a file."""

KEYS = (*NAMES, "weight", "image_id", "boxes", "objectness", "category_id")
"""What can be named by `keys`."""

SPLIT = "split"
"""The key that chooses among ``val_logits`` and ``test_logits``."""

NO_KEYS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Naming:
    """Which tensor of a file is which of ours."""

    names: Mapping[str, str]
    """The name in the file by our name; tensors that are not known keep their names."""
    certain: bool
    """Whether the name says that these are logits, or that these are scores. ``outputs`` may be either."""


def naming_of(tensors: Mapping[str, TensorInfo], keys: Mapping[str, str], source: str) -> Naming:
    """Our names for the `tensors` of a file.

    keys: the name in the file by our name, for those that the user states; `SPLIT` for the first word of all names.
    Raises UsageError for a key that is not known, InputError for a name that the file lacks, and for several tensors
    that may all be what is needed.
    """
    unknown = [name for name in keys if name not in (*KEYS, SPLIT)]
    if unknown:
        problem = Problem("key", f"one of {', '.join((*KEYS, SPLIT))}", unknown[0])
        raise UsageError("`keys=`", [problem], "write what it is first, then its name: `keys='logits=cls_score'`")
    spelled = _of_split(tensors, keys.get(SPLIT), source, chosen=bool(keys.keys() - {SPLIT}))
    found = {name: _stated(spelled, keys[name], name, source) for name in KEYS if name in keys}
    infos = {name: tensors[theirs] for name, theirs in spelled.items()}
    if "image_id" in infos or "boxes" in infos:
        main, certain = None, True  # of a detector: our names alone
    else:
        main, certain = _main(infos, found, source)
    if main is not None:
        content, name = main
        if content not in found:
            found[content] = spelled[name]
        rows = tensors[found[content]].shape[:1]
        for other in ("labels", "features"):
            fitting = [one for one in _candidates(infos, other) if infos[one].shape[:1] == rows]
            if other not in found and fitting:
                found[other] = spelled[_only(fitting, other, source)]
    hidden = {"logits", "scores"} if main is not None else set()
    used = set(found.values())
    others = {name: one for name, one in spelled.items() if name not in {*found, *hidden} and one not in used}
    return Naming(others | found, certain)


def _stated(spelled: Mapping[str, str], name: str, what: str, source: str) -> str:
    """The tensor that the user calls `name`."""
    for theirs in (spelled.get(name), name if name in spelled.values() else None):
        if theirs is not None:
            return theirs
    problem = Problem(f"tensor `{name}`, for {what}", f"one of {_listed(list(spelled))}", "none of this name")
    raise InputError(source, [problem], "pass the name of a tensor in the file")


def _main(
    infos: Mapping[str, TensorInfo], stated: Mapping[str, str], source: str
) -> tuple[tuple[str, str] | None, bool]:
    """Our name and the file's name of the tensor with a number for each class, and whether the name is certain.

    Features, if there is no such tensor.
    """
    for content in ("logits", "scores"):
        if content in stated:
            return (content, content), True
    for content in ("scores", "logits"):
        if content in infos:
            return (content, content), True
    candidates = {name: content for content in ("logits", "scores") for name in _candidates(infos, content)}
    if not candidates:
        features = ["features"] if "features" in stated else _candidates(infos, "features")
        return ("features", _only(features, "features", source)) if features else None, True
    name = _only(list(candidates), "logits", source)
    return (candidates[name], name), candidates[name] == "scores" or name == "logit"


def _candidates(infos: Mapping[str, TensorInfo], what: str) -> list[str]:
    """The tensors that may be `what` by name and shape, or the one that is called so."""
    if what in infos:
        return [what]
    axes = (1, 2) if what == "labels" else (2,)
    return [name for name in NAMES[what] if name in infos and len(infos[name].shape) in axes]


def _only(names: Sequence[str], what: str, source: str) -> str:
    if len(names) > 1:
        problem = Problem("tensors", f"one that can be the {what}", _listed(names))
        raise InputError(source, [problem], f"say which it is: `keys='{what}={names[0]}'`")
    return names[0]


def _of_split(tensors: Mapping[str, TensorInfo], split: str | None, source: str, *, chosen: bool) -> dict[str, str]:
    """The names in the file by the name without the split, ``logits`` for ``val_logits``.

    chosen: whether the user has named a tensor, so that none has to be found.
    """
    plain = {name: name for name in tensors}
    splits = _splits(tensors)
    if split is None:
        if chosen or not splits or any(name in tensors for what in ("logits", "scores") for name in NAMES[what]):
            return plain
        if len(splits) > 1:
            problem = Problem("tensors", "those of one split", f"the splits {_listed(splits)}")
            raise InputError(source, [problem], f"say which is meant: `keys='{SPLIT}={splits[-1]}'`")
        (split,) = splits
    if split not in splits:
        problem = Problem("tensors", f"those of the split {split}, such as `{split}_logits`", _listed(list(tensors)))
        raise InputError(source, [problem], "pass the word with which the names in the file begin")
    return {name.removeprefix(f"{split}_"): name for name in tensors if name.startswith(f"{split}_")}


def _splits(tensors: Mapping[str, TensorInfo]) -> list[str]:
    """The first words of names such as ``val_logits``, and without any of those such as ``val_features``."""
    parts = [name.partition("_") for name in tensors]
    of_classes = dict.fromkeys(split for split, _, rest in parts if rest in (*NAMES["logits"], *NAMES["scores"]))
    if of_classes or set(NAMES["features"]) & set(tensors):
        return list(of_classes)
    return list(dict.fromkeys(split for split, _, rest in parts if rest in NAMES["features"]))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{ascii(name)[1:-1]}`" for name in names[:MAX_PROBLEMS])
    return shown or "none"
