"""The report as a LaTeX table."""

import dataclasses
import shutil
import subprocess

import pytest
from reports import BASELINE, HOSTILE, classification_report, classification_run, report, resampled_report, run

from longtail_cli.errors import UsageError
from longtail_cli.metrics import Interval
from longtail_cli.reports.model import Bootstrap, Run


def table_of(text: str) -> list[str]:
    """The lines without the comments above them."""
    return [line for line in text.splitlines() if not line.startswith("%")]


def detector(name: str, **metrics: float | None) -> Run:
    """A run with these metrics of boxes, and without TIDE."""
    return dataclasses.replace(run(name, 0.0), metrics={"bbox": {"AP": None, **metrics}}, tide={})


def test_a_row_per_run_with_the_rules_above_and_undefined_columns_omitted():
    assert report(run("before", 0.0), run("after", 0.015)).to_latex() == (
        "% LVIS protocol, at most 300 detections per image; 5 images, 2 categories; ltcal 0.1.0\n"
        "% percent, best in bold; needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrrrr}\n"
        "\\toprule\n"
        " & \\multicolumn{3}{c}{Boxes} & \\multicolumn{1}{c}{Pooled AP} \\\\\n"
        "\\cmidrule(lr){2-4} \\cmidrule(lr){5-5}\n"
        " & AP & AP$_{50}$ & FalsePos $\\downarrow$ & AP \\\\\n"
        "\\midrule\n"
        "before & 25.0 & \\textbf{50.0} & \\textbf{20.0} & 20.0 \\\\\n"
        "after & \\textbf{26.5} & \\textbf{50.0} & \\textbf{20.0} & \\textbf{21.5} \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_metrics_stand_in_the_order_of_papers_whatever_that_of_the_report():
    one = detector("a", AP75=0.3, AP50=0.5, APf=0.4, APc=0.3, APr=0.1, APl=0.6, AP=0.25)
    header, _, row = table_of(report(one).to_latex())[2:5]
    assert header == r" & AP & AP$_r$ & AP$_c$ & AP$_f$ & AP$_{50}$ & AP$_{75}$ \\"
    assert row == r"a & 25.0 & 10.0 & 30.0 & 40.0 & 50.0 & 30.0 \\"


def test_a_baseline_and_values_that_it_does_not_define():
    grouped = detector("after", AP=0.25, AP50=0.5, APr=0.125, APc=0.25, APf=0.375)
    text = dataclasses.replace(report(grouped), baseline=BASELINE).to_latex()
    assert table_of(text)[4:6] == [
        r"baseline: main & 12.5 & -- & -- & -- & \textbf{50.0} \\",
        r"after & \textbf{25.0} & \textbf{12.5} & \textbf{25.0} & \textbf{37.5} & \textbf{50.0} \\",
    ]


def column(*values: float | None) -> list[str]:
    """The cells of AP50 in a table of a run for each value."""
    runs = [detector(f"run {number}", AP50=value) for number, value in enumerate(values)]
    return [line.removesuffix(r" \\").partition(" & ")[2] for line in table_of(report(*runs).to_latex())[4:-2]]


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ((0.1,), ["10.0"]),
        ((0.1, 0.2), ["10.0", r"\textbf{20.0}"]),
        ((0.1, 0.3, 0.2), ["10.0", r"\textbf{30.0}", r"\underline{20.0}"]),
        ((0.3, 0.3, 0.2), [r"\textbf{30.0}", r"\textbf{30.0}", r"\underline{20.0}"]),
        ((0.30001, 0.29999, 0.2), [r"\textbf{30.0}", r"\textbf{30.0}", r"\underline{20.0}"]),
        ((0.3, 0.20001, 0.19999), [r"\textbf{30.0}", r"\underline{20.0}", r"\underline{20.0}"]),
        ((None, 0.1, 0.2), ["--", r"\underline{10.0}", r"\textbf{20.0}"]),
        ((0.1, -0.1, -0.00001), [r"\textbf{10.0}", "$-$10.0", r"\underline{0.0}"]),
    ],
)
def test_the_best_is_bold_and_of_three_the_second_underlined_as_printed(values, cells):
    assert column(*values) == cells


def test_boxes_and_masks_have_headers_of_their_own():
    one = run("a", 0.0)
    both = dataclasses.replace(
        one, metrics={"bbox": {"AP": 0.25, "AP50": 0.5}, "segm": {"AP": 0.2, "APfixed": {"AP": 0.3}}}
    )
    signature = dataclasses.replace(report(one).signature, iou_types=("bbox", "segm"))
    text = dataclasses.replace(report(one), signature=signature, runs=(both,)).to_latex()
    assert table_of(text)[:6] == [
        r"\begin{tabular}{lrrrrr}",
        r"\toprule",
        r" & \multicolumn{3}{c}{Boxes} & \multicolumn{1}{c}{Masks} & \multicolumn{1}{c}{Masks, Fixed AP} \\",
        r"\cmidrule(lr){2-4} \cmidrule(lr){5-5} \cmidrule(lr){6-6}",
        r" & AP & AP$_{50}$ & FalsePos $\downarrow$ & AP & AP \\",
        r"\midrule",
    ]


def test_the_lowest_calibration_error_is_the_best():
    before, after = classification_run("none", 0.0), classification_run("iif", 0.125)
    less = dataclasses.replace(after, classification=dataclasses.replace(after.classification, ece=0.03))
    assert table_of(classification_report(before, less).to_latex())[2:6] == [
        r" & top-1 & balanced & many & few & ECE $\downarrow$ \\",
        r"\midrule",
        r"none & 50.0 & 25.0 & 50.0 & 12.5 & 6.2 \\",
        r"iif & \textbf{62.5} & \textbf{37.5} & \textbf{62.5} & \textbf{25.0} & \textbf{3.0} \\",
    ]


def test_intervals_are_half_their_width_where_asked_for():
    """Of AP alone, from 20 to 30; the other metrics have none."""
    one = resampled_report(run("before", 0.0), run("after", 0.015))
    assert one.to_latex() == dataclasses.replace(one, bootstrap=None).to_latex()
    before, after = table_of(one.to_latex(intervals=True))[6:8]
    assert before == r"before & 25.0 $\pm$ 5.0 & \textbf{50.0} & \textbf{20.0} & 20.0 \\"
    assert after == r"after & \textbf{26.5} $\pm$ 5.0 & \textbf{50.0} & \textbf{20.0} & \textbf{21.5} \\"
    assert "+- half the width of the 95% interval" in one.to_latex(intervals=True).splitlines()[1]


def test_intervals_that_are_all_withheld_leave_the_metrics_alone():
    one = dataclasses.replace(report(run("a", 0.0)), bootstrap=Bootstrap(1000, 0, "00ff", {"all": 1.0}))
    assert table_of(one.to_latex(intervals=True)) == table_of(one.to_latex())


def test_intervals_that_were_not_computed_are_refused():
    with pytest.raises(UsageError, match=r"expected one with intervals.*(?s:.)*`bootstrap=True`"):
        report(run("a", 0.0)).to_latex(intervals=True)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("iif_raw & 50%", "iif\\_raw \\& 50\\%"),
        ("a{b}$#", "a\\{b\\}\\$\\#"),
        ("\\input{x}", "\\textbackslash{}input\\{x\\}"),
        ("~^<|>", "\\textasciitilde{}\\textasciicircum{}\\textless{}\\textbar{}\\textgreater{}"),
        ("[1em]", "{[}1em]"),
        ("*", "{*}"),
        ("a\n\nb", "a b"),
        ("a--b---c-d", "a-{}-b-{}-{}-c-d"),
        ("\N{GREEK SMALL LETTER TAU}-norm", r"$\tau$-norm"),
        ("Ré-éq 50 ± 1, łódź", "Ré-éq 50 ± 1, łódź"),
        ("\N{CAT FACE}\u732b\x00\ud800", "U+1F431U+732BU+0000U+D800"),
    ],
)
def test_names_are_escaped(name, escaped):
    assert table_of(report(detector("first", AP=0.1), detector(name, AP=0.2)).to_latex())[5].startswith(f"{escaped} & ")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_row(name):
    text = report(detector(name, AP=0.1)).to_latex()
    assert len(table_of(text)) == 7
    text.encode()


DRAFT = ("-draftmode", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape")
"""Without a PDF, which needs fonts that are drawn when they are first used."""
ENGINES = {"pdflatex": DRAFT, "lualatex": DRAFT, "tectonic": ("--untrusted",)}
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
%s\end{document}
"""


def test_latex_compiles_it(tmp_path):
    """Names of every kind, letters of all European languages, both IoU types, Fixed AP and intervals."""
    engine = next((name for name in ENGINES if shutil.which(name)), None)
    if engine is None:
        pytest.skip(f"no LaTeX: none of {', '.join(ENGINES)} is installed")
    letters = "".join(map(chr, range(0x20, 0x250)))
    names = [
        *HOSTILE,
        "\\end{tabular}",
        "\\input{/etc/passwd}",
        "%",
        "$x",
        "{",
        "}",
        "[1em] a",
        "*",
        "^^M",
        "^^5c",
        "",
        "--",
    ]
    metrics = {"AP": 0.25, "APr": None, "AP50": -0.5, "APfixed": {"AP": 0.3}}
    runs = [
        dataclasses.replace(
            run(name, 0.0), metrics={"bbox": metrics, "segm": metrics}, intervals={"bbox/AP": Interval(0.2, 0.3)}
        )
        for name in [*names, *(letters[start : start + 40] for start in range(0, len(letters), 40))]
    ]
    signature = dataclasses.replace(report(run("a", 0.0)).signature, iou_types=("bbox", "segm"))
    one = dataclasses.replace(
        report(run("a", 0.0)), signature=signature, runs=tuple(runs), bootstrap=Bootstrap(1000, 0, "00ff")
    )
    (tmp_path / "table.tex").write_text(DOCUMENT % one.to_latex(intervals=True), encoding="utf-8")
    done = subprocess.run(
        [engine, *ENGINES[engine], "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
