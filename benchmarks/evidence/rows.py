"""What the rows of the tables stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from networks import Recipe
from tables import SOFTMAX
from train import RATE

from longtail_cli.choices import VARIANTS

ORACLE = "oracle (chosen on the test set)"

FIXED: Mapping[str, str] = MappingProxyType(
    {
        SOFTMAX: "none",
        **{f"IIF {variant}": f"iif:variant={variant}" for variant in VARIANTS},
        "logit adjustment, tau = 1": "logit-adjust",
        "balanced softmax": "balanced-softmax",
        "tau-norm, tau = 1": "tau-norm",
    }
)
"""Methods without anything to choose."""

CORRECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "temperature",
        "class temperatures": "class-temperature",
        "bias-corrected temperature": "bcts",
        "vector scaling": "vector",
        "LWS": "lws",
        "DisAlign": "disalign",
    }
)
"""Learned on held-out logits."""

RARE = 0.043
"""The share of images below which a class is rare for SEQL: 0.43 times an even share, as 4.3e-4 is on ImageNet-LT."""

HEADS: Mapping[str, str] = MappingProxyType(
    {
        "cross entropy": "classifier:loss=ce",
        "IIF smooth": "classifier:loss=iif,variant=smooth",
        "IIF smooth, 5 epochs": "classifier:loss=iif,variant=smooth,solver=sgd,preset=iif-imagenet-lt,start=given",
        "balanced softmax": "classifier:loss=balanced-softmax",
        "class-balanced": "classifier:loss=class-balanced",
        "LDAM": "classifier:loss=ldam,norm=cosine",
        "SEQL": f"classifier:loss=seql,lambda_={RARE}",
        "BAGS": "classifier:loss=bags",
        "cRT": "crt",
        "cRT, L-BFGS": "crt:solver=lbfgs",
        "nearest class mean": "ncm",
        "tau-norm": "tau-norm",
    }
)
"""Classifiers learned on features."""

EQUALLY_MANY = ("cross entropy", "balanced softmax", "cRT, L-BFGS")
"""Those that are also learned on as many train features as there are held-out ones."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its own loss. spec: the method that is applied to its logits."""

    recipe: Recipe
    spec: str = "none"


QUARTER = RATE / 4
"""For BAGS, which sums four cross entropies, and LDAM, whose cosines are multiplied by 30: the rate of the others
switches most of the features off for good."""
IIF = {variant: Recipe("IIFCrossEntropy", {"variant": variant}) for variant in ("raw", "smooth")}

END_TO_END: Mapping[str, Trained] = MappingProxyType(
    {
        **{f"IIF {variant}": Trained(recipe, f"iif:variant={variant}") for variant, recipe in IIF.items()},
        "IIF smooth, weights in training only": Trained(IIF["smooth"]),
        "balanced softmax": Trained(Recipe("BalancedSoftmaxLoss")),
        "LDAM-DRW": Trained(Recipe("LDAMLoss", {"reweight_from": 16}, QUARTER)),
        "SEQL": Trained(Recipe("SoftmaxEqualizationLoss", {"lambda_": RARE, "gamma": 0.9})),
        "BAGS": Trained(Recipe("GroupSoftmaxLoss", rate=QUARTER)),
    }
)
"""Trained with the loss from the start; LDAM with deferred re-weighting in the last fifth of the epochs, as its authors
do."""
