"""The tuning as text and Markdown."""

import re
from dataclasses import replace

from reports import HOSTILE
from tunings import classification_tuning, detection_tuning, held_out, partial_tuning

from longtail_cli.reports.tuning.text import to_markdown, to_text


def test_the_choice_comes_first_then_the_spaces_then_the_folds():
    assert to_text(detection_tuning()) == (
        "Tuned for the highest bbox/AP, keeping bbox/APf=-0.1: 9 candidates in 2 spaces; 2 folds, seed 0; "
        "ltcal 0.1.0\n"
        "\n"
        "Chosen: norcal:gamma=0.5\n"
        "                      bbox/AP    95% interval\n"
        "--------------------  -------  --------------\n"
        "no adjustment           25.00  22.50 to 27.50\n"
        "chosen, cross-fitted    27.00  24.50 to 29.50\n"
        "  difference            +2.00  +1.00 to +3.00\n"
        "chosen, in-sample       28.00               -\n"
        "  optimism              +1.00               -\n"
        "\n"
        "Best of each space, cross-fitted\n"
        "space                            best                             in-sample AP              AP            "
        "APr    APc    APf  FalsePos\n"
        "-------------------------------  -------------------------------  ------------  --------------  "
        "-------------  -----  -----  --------\n"
        "none                             none                                    26.67           25.00          "
        "10.00  30.00  40.00     20.00\n"
        "  95% interval                                                                  22.50 to 27.50  "
        "5.00 to 15.00      -      -         -\n"
        "norcal:gamma=0..1                norcal:gamma=0.5                        28.00           27.00          "
        "12.00  30.00  39.00     20.00\n"
        "  95% interval                                                                  24.50 to 29.50  "
        "7.00 to 17.00      -      -         -\n"
        "iif:variant=*,strength=0.5..1.5  iif:variant=base10,strength=1.0         27.50           26.50          "
        "11.50  30.00  39.25     20.00\n"
        "  95% interval                                                                  24.00 to 29.00  "
        "6.50 to 16.50      -      -         -\n"
        "\n"
        "Chosen for each fold, on the other folds\n"
        "fold  chosen\n"
        "----  ----------------\n"
        "1     norcal:gamma=0.5\n"
        "2     norcal:gamma=1.0\n"
        "\n"
        "- a note on the tuning\n"
        "- a note on all\n"
        "- a note\n"
    )


def test_a_lower_error_is_better_and_folds_that_agree_take_one_line():
    text = to_text(classification_tuning())
    assert text.startswith("Tuned for the lowest classification/nll, target uniform: 6 candidates in 1 space; 3 folds")
    assert re.search(r"\nchosen, in-sample +1\.3000 +-\n", text)
    assert re.search(r"\n  optimism +\+0\.0500 +-\n", text)
    assert re.search(r"in-sample NLL +NLL +balanced +top-1 +many +few +ECE\n", text)  # none has medium classes
    assert "\nAll 3 folds chose temperature:t=1.0+logit-adjust:tau=1.0.\n" in text
    assert "other folds" not in text


def test_a_search_that_was_interrupted_says_so_first():
    assert to_text(partial_tuning()) == (
        "The search was interrupted: these are the candidates tried so far, without cross-fitted figures.\n"
        "\n"
        "Tuned for the highest bbox/AP, keeping bbox/APf=-0.1: 3 candidates in 1 space; 2 folds, seed 0; ltcal 0.1.0\n"
        "\n"
        "Chosen: norcal:gamma=0.5\n"
        "                          bbox/AP  95% interval\n"
        "------------------------  -------  ------------\n"
        "no adjustment, in-sample    26.67             -\n"
        "chosen, in-sample           28.00             -\n"
        "\n"
        "Best of each space, in-sample\n"
        "space              best              bbox/AP\n"
        "-----------------  ----------------  -------\n"
        "norcal:gamma=0..1  norcal:gamma=0.5    28.00\n"
        "\n"
        "- a note on the tuning\n"
    )


def test_the_half_that_was_held_out():
    text = to_text(replace(detection_tuning(), split="half:0", heldout=held_out()))
    assert "2 folds, seed 0, split half:0;" in text
    assert (
        "On the other half, which was not tuned on (split half:0)\n"
        "run                           AP            APr    APc    APf  FalsePos\n"
        "----------------  --------------  -------------  -----  -----  --------\n"
        "none                       25.00          10.00  30.00  40.00     20.00\n"
        "  95% interval    22.50 to 27.50  5.00 to 15.00      -      -         -\n"
        "norcal:gamma=0.5           27.00          12.00  30.00  39.00     20.00\n"
        "  95% interval    24.50 to 29.50  7.00 to 17.00      -      -         -\n"
        "  difference               +2.00          +2.00  +0.00  -1.00     +0.00\n"
        "  95% interval    +1.00 to +3.00              -      -      -         -\n"
    ) in text


def test_an_undefined_objective_is_a_dash():
    one = replace(detection_tuning(), objective="bbox/APs")
    text = to_text(replace(one, chosen=replace(one.chosen, in_sample=None, cross_fitted=None, interval=None)))
    assert re.search(r"\nchosen, cross-fitted +- +-\n", text)
    assert re.search(r"\n  optimism +- +-\n", text)


def test_notes_cannot_write_commands():
    assert "\x1b" not in to_text(replace(detection_tuning(), notes=HOSTILE))


def test_markdown():
    text = to_markdown(replace(partial_tuning(), notes=("<b>",)))
    assert text.startswith("The search was interrupted")
    assert "**Chosen: norcal:gamma=0.5**\n\n|                          |   bbox/AP |   95% interval |\n" in text
    assert text.endswith("\n- &lt;b&gt;\n")
