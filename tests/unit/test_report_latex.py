"""The report as a LaTeX table."""

import dataclasses

import pytest
from reports import BASELINE, HOSTILE, classification_report, classification_run, report, run


def test_a_row_per_run_with_the_best_in_bold_and_undefined_columns_omitted():
    assert report(run("before", 0.0), run("after", 0.015)).to_latex() == (
        "\\begin{tabular}{lrrr}\n"
        "\\toprule\n"
        " & AP & AP$_{50}$ & FalsePos \\\\\n"
        "\\midrule\n"
        "before & 25.0 & \\textbf{50.0} & \\textbf{20.0} \\\\\n"
        "after & \\textbf{26.5} & \\textbf{50.0} & \\textbf{20.0} \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_groups_a_baseline_and_a_value_that_one_run_does_not_define():
    one = run("after", 0.0)
    grouped = dataclasses.replace(
        one, metrics={"bbox": {"AP": 0.25, "AP50": 0.5, "APr": 0.125, "APc": 0.25, "APf": 0.375}}, tide={}
    )
    text = dataclasses.replace(report(grouped), baseline=BASELINE).to_latex()
    assert text.splitlines()[2:6] == [
        " & AP & AP$_r$ & AP$_c$ & AP$_f$ & AP$_{50}$ \\\\",
        "\\midrule",
        "baseline: main & 12.5 & -- & -- & -- & \\textbf{50.0} \\\\",
        "after & \\textbf{25.0} & \\textbf{12.5} & \\textbf{25.0} & \\textbf{37.5} & \\textbf{50.0} \\\\",
    ]


def test_a_single_run_is_not_bold():
    assert "\\textbf" not in report(run("a", 0.0)).to_latex()


def test_boxes_and_masks_have_headers_of_their_own():
    one = run("a", 0.0)
    both = dataclasses.replace(one, metrics={"bbox": {"AP": 0.25, "AP50": 0.5}, "segm": {"AP": 0.2}})
    signature = dataclasses.replace(report(one).signature, iou_types=("bbox", "segm"))
    text = dataclasses.replace(report(one), signature=signature, runs=(both,)).to_latex()
    assert text.splitlines()[:6] == [
        "\\begin{tabular}{lrrrr}",
        "\\toprule",
        " & \\multicolumn{3}{c}{Boxes} & \\multicolumn{1}{c}{Masks} \\\\",
        "\\cmidrule(lr){2-4} \\cmidrule(lr){5-5}",
        " & AP & AP$_{50}$ & FalsePos & AP \\\\",
        "\\midrule",
    ]


def test_the_lowest_calibration_error_is_the_best():
    before, after = classification_run("none", 0.0), classification_run("iif", 0.125)
    less = dataclasses.replace(after, classification=dataclasses.replace(after.classification, ece=0.03))
    assert classification_report(before, less).to_latex().splitlines()[2:6] == [
        " & top-1 & balanced & many & few & ECE \\\\",
        "\\midrule",
        "none & 50.0 & 25.0 & 50.0 & 12.5 & 6.2 \\\\",
        "iif & \\textbf{62.5} & \\textbf{37.5} & \\textbf{62.5} & \\textbf{25.0} & \\textbf{3.0} \\\\",
    ]


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
    ],
)
def test_names_are_escaped(name, escaped):
    assert report(run("first", 0.0), run(name, 0.0)).to_latex().splitlines()[5].startswith(f"{escaped} & ")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_row(name):
    text = report(run(name, 0.0)).to_latex()
    assert len(text.splitlines()) == 7
    text.encode()
