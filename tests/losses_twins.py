"""Plain-loop twins of the losses, in Python floats, from the definitions and the code of their authors.

Each takes rows of logits, the target column of each row and the counts n of the classes, and returns the loss of a
batch as the authors reduce it. `background` is the target of background rows, if there are any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

Rows = Sequence[Sequence[float]]
Targets = Sequence[int]


def softmax(z: Sequence[float]) -> list[float]:
    exponentials = [math.exp(one) for one in z]
    return [one / math.fsum(exponentials) for one in exponentials]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def cross_entropy(z: Sequence[float], y: int) -> float:
    return -math.log(softmax(z)[y])


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def iif_weight(variant: str, n: int, total: int) -> float:
    """Alexandridis et al. 2023, Table III, as in kostas1515/iif, classification/custom.py."""
    p = n / total
    return {
        "raw": lambda: math.log(total / n),
        "smooth": lambda: math.log((total + 1) / (n + 1)) + 1,
        "relative": lambda: math.log((total - n) / n),
        "base2": lambda: math.log2(total / n),
        "base10": lambda: math.log10(total / n),
        "normit": lambda: -NormalDist().inv_cdf(p),
        "gombit": lambda: -math.log(-math.log(1 - p)),
    }[variant]()


def iif(rows: Rows, targets: Targets, weight: Sequence[float]) -> float:
    """kostas1515/iif, classification/custom.py: the mean cross entropy of the weighted logits."""
    weighted = [[w * z for w, z in zip(weight, row, strict=True)] for row in rows]
    return mean([cross_entropy(row, y) for row, y in zip(weighted, targets, strict=True)])


def iif_gradient(row: Sequence[float], y: int, weight: Sequence[float]) -> list[float]:
    """Alexandridis et al. 2023, eq. 16, for one row."""
    score = softmax([w * z for w, z in zip(weight, row, strict=True)])
    return [w * (s - (c == y)) for c, (w, s) in enumerate(zip(weight, score, strict=True))]


def logit_adjusted(rows: Rows, targets: Targets, factor: Sequence[float], tau: float) -> float:
    """Menon et al. 2021, eq. 10: -ln(p_y^tau e^{z_y} / Σ p_c^tau e^{z_c}). factor: p, 1 for a background."""
    losses = []
    for row, y in zip(rows, targets, strict=True):
        terms = [p**tau * math.exp(z) for p, z in zip(factor, row, strict=True)]
        losses.append(-math.log(terms[y] / math.fsum(terms)))
    return mean(losses)


def balanced_softmax(rows: Rows, targets: Targets, n: Sequence[int]) -> float:
    """jiawei-ren/BalancedMetaSoftmax-Classification, loss/BalancedSoftmaxLoss.py."""
    adjusted = [[z + math.log(count) for z, count in zip(row, n, strict=True)] for row in rows]
    return mean([cross_entropy(row, y) for row, y in zip(adjusted, targets, strict=True)])


def effective_number_weights(n: Sequence[int], beta: float) -> list[float]:
    """richardaecn/class-balanced-loss, src/cifar_main.py, and kaidic/LDAM-DRW, cifar_train.py."""
    raw = [(1 - beta) / (1 - beta**count) for count in n]
    return [len(n) * one / math.fsum(raw) for one in raw]


def weighted_cross_entropy(rows: Rows, targets: Targets, weight: Sequence[float]) -> float:
    """torch.nn.CrossEntropyLoss(weight), the loss of kaidic/LDAM-DRW and of DisAlign: Σ w_y l / Σ w_y."""
    losses = [weight[y] * cross_entropy(row, y) for row, y in zip(rows, targets, strict=True)]
    return math.fsum(losses) / math.fsum(weight[y] for y in targets)


def ldam(rows: Rows, targets: Targets, n: Sequence[int], max_m: float, s: float, weight: Sequence[float]) -> float:
    """kaidic/LDAM-DRW, losses.py. n: the counts of all columns, infinite for a background, whose margin is 0."""
    m = [1 / math.sqrt(math.sqrt(count)) for count in n]
    m = [one * max_m / max(m) for one in m]
    behind = [
        [s * (z - m[y] if c == y else z) for c, z in enumerate(row)] for row, y in zip(rows, targets, strict=True)
    ]
    return weighted_cross_entropy(behind, targets, weight)


def class_balanced_softmax(rows: Rows, targets: Targets, weight: Sequence[float]) -> float:
    """richardaecn/class-balanced-loss, src/cifar_main.py, loss type softmax: weighted rows over their number."""
    return mean([weight[y] * cross_entropy(row, y) for row, y in zip(rows, targets, strict=True)])


def focal_softmax(rows: Rows, targets: Targets, weight: Sequence[float], gamma: float) -> float:
    """The focal term of the true class of a softmax."""
    losses = []
    for row, y in zip(rows, targets, strict=True):
        q = softmax(row)[y]
        losses.append(-weight[y] * (1 - q) ** gamma * math.log(q))
    return mean(losses)


def focal_sigmoid(
    rows: Rows, targets: Targets, weight: Sequence[float], gamma: float, background: int | None = None
) -> float:
    """richardaecn/class-balanced-loss, src/cifar_main.py, loss types sigmoid (gamma = 0) and focal, over the rows."""
    losses = []
    for row, target in zip(rows, targets, strict=True):
        y = class_of(target, background)
        p_t = [sigmoid(z) if c == y else 1 - sigmoid(z) for c, z in enumerate(row)]
        losses.append(weight[target] * math.fsum(-((1 - p) ** gamma) * math.log(p) for p in p_t))
    return mean(losses)


def generalised_reweighting(n: Sequence[int], exponent: float) -> list[float]:
    """GRWCrossEntropyLoss of DisAlign (Megvii-BaseDetection/cvpods, modeling/losses)."""
    ratio = [count / sum(n) for count in n]
    raw = [1 / one**exponent for one in ratio]
    return [one / math.fsum(raw) * len(n) for one in raw]


def class_of(target: int, background: int | None) -> int | None:
    """The class of a target, None for the background."""
    if target == background:
        return None
    return target - 1 if background == 0 else target


def equalization(rows: Rows, targets: Targets, image_rate: Sequence[float], lambda_: float, background: int) -> float:
    """tztztztztz/eqlv2, mmdet/models/losses/eql.py."""
    losses = []
    for row, target in zip(rows, targets, strict=True):
        y = class_of(target, background)
        foreground = y is not None
        for j, z in enumerate(row):
            threshold = image_rate[j] < lambda_
            weight = 1 - foreground * threshold * (j != y)
            losses.append(-weight * math.log(sigmoid(z) if j == y else 1 - sigmoid(z)))
    return math.fsum(losses) / len(rows)


def softmax_equalization(rows: Rows, targets: Targets, left_out: Sequence[Sequence[bool]]) -> float:
    """Tan et al. 2020, the softmax form. left_out: where β T(f_j) is 1."""
    losses = []
    for row, y, out in zip(rows, targets, left_out, strict=True):
        terms = [(1 - (one and j != y)) * math.exp(z) for j, (z, one) in enumerate(zip(row, out, strict=True))]
        losses.append(-math.log(math.exp(row[y]) / math.fsum(terms)))
    return mean(losses)


def group_softmax(
    rows: Rows, targets: Targets, slices: Sequence[Sequence[tuple[int, ...]]], selected: Sequence[Sequence[bool]]
) -> float:
    """FishYuLi/BalancedGroupSoftmax, gs_bbox_head_with0.py: the sum over slices of the mean over the selected rows.

    slices: for each slice, the targets of each of its columns. selected: for each slice, whether it selects each row.
    """
    total, start = 0.0, 0
    for columns, chosen in zip(slices, selected, strict=True):
        losses = []
        for row, target, counts in zip(rows, targets, chosen, strict=True):
            label = next(index for index, members in enumerate(columns) if target in members)
            if counts:
                losses.append(cross_entropy(row[start : start + len(columns)], label))
        total += math.fsum(losses) / max(len(losses), 1)
        start += len(columns)
    return total
