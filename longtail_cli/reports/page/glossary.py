"""What the words of a page mean, in one sentence each."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A term and its definition."""

    term: str
    definition: str
    """One sentence, which agrees with docs/protocols.md and docs/report.md."""
    aliases: tuple[str, ...] = ()
    """Other texts that stand for the term."""

    @property
    def id(self) -> str:
        """Of the definition in the page."""
        return f"term-{re.sub('[^a-z0-9]+', '-', self.term.lower()).strip('-')}"


GLOSSARY = (
    Entry("AP",
          "Average precision: the mean over categories, ten IoU thresholds from .50 to .95, and 101 recalls of the "
          "precision at which a recall is reached."),
    Entry("AP50", "AP at the IoU threshold .50 alone."),
    Entry("AP75", "AP at the IoU threshold .75 alone."),
    Entry("APr", "AP, the mean over the rare categories alone.", ("AP rare",)),
    Entry("APc", "AP, the mean over the common categories alone.", ("AP common",)),
    Entry("APf", "AP, the mean over the frequent categories alone.", ("AP frequent",)),
    Entry("APs", "AP of small objects, of an area of at most 32² pixels."),
    Entry("APm", "AP of medium objects, of an area from 32² to 96² pixels."),
    Entry("APl", "AP of large objects, of an area of at least 96² pixels."),
    Entry("Fixed AP",
          "AP of the best 10,000 detections of each category over the whole data set, without a limit per image."),
    Entry("pooled AP",
          "AP of the detections of Fixed AP, matched per category and put on one curve for all categories, so that "
          "it falls if scores are not comparable across categories.", ("Pooled AP",)),
    Entry("TIDE", "A breakdown of errors by type, each with the AP50 gain from fixing that type alone."),
    Entry("Cls", "TIDE, class: the detection has an IoU of at least .5 with an object of another class."),
    Entry("Loc", "TIDE, location: the detection has an IoU from .1 to .5 with an object of its class."),
    Entry("Both", "TIDE, class and location: the detection finds no object and is of none of the other types."),
    Entry("Dupe",
          "TIDE, duplicate: the detection has an IoU of at least .5 with an object of its class that is already "
          "matched."),
    Entry("Bkg", "TIDE, background: the detection has an IoU of at most .1 with every object."),
    Entry("Miss", "TIDE, missed: no detection matches the object, and no Loc or Cls error points to it."),
    Entry("FalsePos", "TIDE: the AP50 gain from removing all false positives.", ("TIDE FalsePos",)),
    Entry("FalseNeg", "TIDE: the AP50 gain from removing all missed objects."),
    Entry("FP@R40",
          "The number of false positives at the highest score threshold at which 40% of the objects are found at "
          "IoU .5, the detections of all categories on one curve."),
    Entry("FP@R60",
          "The number of false positives at the highest score threshold at which 60% of the objects are found at "
          "IoU .5, the detections of all categories on one curve."),
    Entry("D-ECE",
          "Calibration error of detections: how far the mean score is from the share of true positives in each of "
          "25 bins of the score, weighted by detections, and averaged over categories."),
    Entry("LaECE",
          "Calibration error that counts how well boxes fit: D-ECE with the share of true positives multiplied by "
          "their mean IoU."),
    Entry("top-1", "The share of the rows whose class is ranked first."),
    Entry("top-5", "The share of the rows whose class is among the first five."),
    Entry("balanced", "Balanced accuracy: the unweighted mean of the recall of all classes."),
    Entry("many", "The unweighted mean of the recall of the many-shot classes."),
    Entry("medium", "The unweighted mean of the recall of the medium-shot classes."),
    Entry("few", "The unweighted mean of the recall of the few-shot classes."),
    Entry("ECE",
          "Expected calibration error: how far the mean confidence is from the accuracy in each of 15 bins of the "
          "confidence, weighted by rows."),
    Entry("class-wise ECE", "The mean over all classes of the calibration error of the scores of that class."),
    Entry("NLL", "Negative log-likelihood: the mean over the rows of -ln of the score of the true class, in nats."),
    Entry("Brier",
          "The mean over the rows of the sum of squared differences between the scores and the truth, which is 1 "
          "for the true class and 0 for all others."),
    Entry("difference", "The metric of the run minus that of the reference."),
    Entry("95% interval",
          "The range in which the metric of 95% of all sets of so many images is expected to lie, from resamples of "
          "the images, and withheld if the metric effectively rests on fewer than 3 images.",
          ("95% intervals", "its 95% interval")),
    Entry("p",
          "The share of random exchanges of detections between the run and the reference, image by image, after "
          "which the metrics differ at least as much as observed (paired permutation test).", ("p-value",)),
    Entry("reference", "The run that differences are taken to."),
    Entry("oracle",
          "A run whose method was tuned on some of the data of this report: it shows how good the method can get, "
          "not how good it will be."),
)  # fmt: skip
"""In the order shown."""

_BY_TEXT = {text: entry for entry in GLOSSARY for text in (entry.term, *entry.aliases)}


def entry_of(text: str) -> Entry | None:
    """The entry of a text that is a term or stands for one; None for any other text."""
    return _BY_TEXT.get(text)


def entries_in(html: str) -> list[Entry]:
    """The entries whose terms a page refers to, in the order of `GLOSSARY`."""
    return [entry for entry in GLOSSARY if f'aria-describedby="{entry.id}"' in html]
