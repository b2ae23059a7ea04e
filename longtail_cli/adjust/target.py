"""Methods that exchange the class shares of the training set for those of the set that is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from longtail_cli.adjust.base import Choice, ClassAffine, Correction, FileName, NamedMethod, Note, Setting, rank
from longtail_cli.adjust.counts import Count, ZeroCount, counts_of, shares
from longtail_cli.adjust.shift import by_confusion, by_maximum_likelihood
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.tables import Floats, FrequencyTable

TargetName = Literal["uniform", "file", "em", "bbse"]
TARGETS: tuple[TargetName, ...] = ("uniform", "file", "em", "bbse")

LEAST_SHARE = 1e-8
"""Stands in for an estimated share of 0, whose logarithm is no number."""


@dataclass(frozen=True, slots=True)
class TargetPrior(NamedMethod):
    """z'_c = z_c - ln p_s(c) + ln p_t(c): p_s from the training counts, p_t uniform, from the counts of another table
    (file), or estimated from the predictions themselves by EM (em) or from the confusions on a labelled logits file
    (bbse); the background stays as it is.

    Source: Saerens et al., "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation
    2002, section 2; for bbse Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors", ICML
    2018, section 3
    """

    name: ClassVar[str] = "target-prior"
    prior: Annotated[TargetName, Choice("where p_t comes from", TARGETS)] = "uniform"
    file: Annotated[str, FileName("for file a frequency table, for bbse a logits file with labels")] = ""
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def correction(self, setting: Setting) -> Correction:
        if (self.prior in ("file", "bbse")) != bool(self.file):
            problem = Problem("file", "a name for prior=file and prior=bbse, none otherwise", repr(self.file))
            raise UsageError(f"method {self.spec}", [problem], "for example target-prior:prior=file,file=target.csv")
        table = setting.counts(self.spec)
        source, notes = self._shares(table)
        target, more = self._target(setting, table, source)
        affine = ClassAffine(np.ones(len(table)), np.log(target) - np.log(source))
        return Correction((setting.on_columns(affine),), setting.columns, notes + more)

    def _shares(self, table: FrequencyTable) -> tuple[Floats, tuple[Note, ...]]:
        """n_c / Σ n with stand-ins for zeros, float64 [C], sums to 1."""
        counts = counts_of(table, self.count)
        given = shares(counts, float(counts.sum()), self.zero_count, table.category_id)
        share = given.count / given.total
        return share / share.sum(), given.notes

    def _target(self, setting: Setting, table: FrequencyTable, source: Floats) -> tuple[Floats, tuple[Note, ...]]:
        """p_t in the order of the table, all above 0."""
        if self.prior == "uniform":
            return np.full(len(table), 1.0 / len(table)), ()
        if self.prior == "file":
            other = setting.evidence.prior(self.file)
            if not np.array_equal(other.category_id, table.category_id):
                problem = Problem("category_id", f"the {len(table)} classes of the training table", "others")
                raise InputError(self.file, [problem], "count both sets by the same list of categories")
            return self._shares(other)
        self._refuse_detection(setting)
        row = rank(setting.columns.category_id)
        estimate = np.empty(len(table))
        estimate[row] = self._estimate(setting, source[row])
        absent = estimate < LEAST_SHARE
        text = f"are estimated not to occur; taken as a share of {LEAST_SHARE:g}"
        return np.maximum(estimate, LEAST_SHARE), (Note(absent, text),) if absent.any() else ()

    def _estimate(self, setting: Setting, source: Floats) -> Floats:
        """p_t in column order."""
        evidence, steps = setting.evidence, setting.steps
        if self.prior == "em":
            return by_maximum_likelihood(lambda: evidence.predictions(steps), source)
        return by_confusion(evidence.labelled(self.file, steps), evidence.predictions(steps), len(source))

    def _refuse_detection(self, setting: Setting) -> None:
        if setting.columns.head != "softmax" or setting.columns.background != "none":
            found = f"{setting.columns.head}, background {setting.columns.background}"
            problem = Problem("head", "softmax without background, as classifiers of whole images have", found)
            raise UsageError(f"method {self.spec}", [problem], "choose prior=uniform or prior=file")
