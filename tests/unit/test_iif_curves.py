"""The IIF weights that a report draws: those of the runs that use them."""

from dataclasses import replace

import numpy as np
import pytest
from reports import run

from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.category_rows import iif_curves

COUNTS = np.array([500, 50, 5, 1])
TABLE = FrequencyTable(np.array([3, 5, 8, 9]), ("",) * 4, COUNTS, 2 * COUNTS, ("f", "c", "r", "r"), 1000)
IDS = np.array([3, 8, 9])


def curves(*specs: str | None) -> dict[str, tuple[float, ...]]:
    runs = [replace(run(str(spec), 0.0), method=spec) for spec in specs]
    return iif_curves(runs, TABLE, IDS)


def weights(spec: str) -> list[float]:
    return parse_method(spec).coefficients(TABLE).scale[[0, 2, 3]].tolist()


def test_only_runs_whose_method_uses_weights_have_them():
    specs = ("none", None, "norcal:gamma=0.6", "@head.npz", "temperature:t=1.5")
    assert curves(*specs) == {}
    assert list(curves(*specs, "iif", "temperature:t=1.5+iif:variant=smooth")) == [
        "iif", "temperature:t=1.5+iif:variant=smooth",
    ]  # fmt: skip


@pytest.mark.parametrize("spec", ["iif", "iif:variant=smooth", "iif:count=instance,strength=0.5,scale=mean"])
def test_they_are_the_weights_of_the_method_for_the_categories_of_the_report(spec):
    assert list(curves(spec)[spec]) == weights(spec)
    assert list(curves(f"norcal:gamma=0.6+{spec}").values()) == [tuple(weights(spec))]


def test_a_chain_multiplies_them():
    spec = "iif+iif:variant=smooth"
    assert curves(spec)[spec] == pytest.approx(np.multiply(weights("iif"), weights("iif:variant=smooth")))


def test_no_weights_without_a_table():
    assert iif_curves([replace(run("iif", 0.0), method="iif")], None, IDS) == {}
