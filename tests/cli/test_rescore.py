"""`ltcal rescore`, as a user calls it."""

import gzip
import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main

# Image 1 holds three detections, image 7 one. Every entry has an unknown field or another order of fields.
PREDICTIONS = """[
 {"image_id": 1, "category_id": 3, "bbox": [0, 0, 10.50, 10], "score": 0.8, "track": {"score": 0.1}},
 {"score":0.5,"image_id":1,"category_id":4,"bbox":[1e0,2,3,4],"name":"caf\\u00e9 é"},
 {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 2.50e-1},
 {"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}
]
"""
FREQUENCIES = "category_id,name,image_count,instance_count\n3,rare,2,3\n4,often,8,20\n9,never,0,0\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(PREDICTIONS, encoding="utf-8")
    Path("freq.csv").write_text(FREQUENCIES)
    return tmp_path


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["rescore", *arguments])


def rescored(method: str, *arguments: str, source: str = "in.json", out: str = "out.json") -> str:
    """The stderr of a successful call."""
    result = ltcal(source, "--freq", "freq.csv", "--method", method, "-o", out, *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    return result.stderr


def refused(*arguments: str) -> str:
    """The stderr of a failing call, which exits with 2, prints no result and changes no file."""
    before = {path: path.read_bytes() for path in Path().iterdir()}
    result = ltcal(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in Path().iterdir()} == before
    return result.stderr


def scores(path: str = "out.json") -> list[float]:
    return [entry["score"] for entry in json.loads(Path(path).read_text(encoding="utf-8"))]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def test_scores_become_those_of_the_formula(folder: Path) -> None:
    """IIF: 0.8 and 0.25 of the rare class are 4 and 1/3 as odds, raised to the power ln(10 / 2)."""
    rescored("iif")
    w = math.log(10 / 2)
    assert scores() == pytest.approx([4**w / (1 + 4**w), 0.5, 3**-w / (1 + 3**-w), 1.0], rel=1e-14)


def test_norcal_without_renormalisation_multiplies_the_scores(folder: Path) -> None:
    """By 1 / n: 2 and 8 images; class 9, which never occurs, counts as the rarest that does."""
    rescored("norcal:gamma=1,renormalize=no")
    assert scores() == pytest.approx([0.8 / 2, 0.5 / 8, 0.25 / 2, 1 / 2], rel=1e-15)
    rescored("norcal:gamma=1,renormalize=no+temperature:2")
    assert scores() == pytest.approx([sigmoid(math.log(s / (1 - s)) / 2) for s in (0.4, 0.0625, 0.125, 0.5)])


def test_nothing_but_scores_changes(folder: Path) -> None:
    rescored("logit-adjust")
    expected = PREDICTIONS
    for old, new in zip(('"score": 0.8', '"score":0.5', '"score": 2.50e-1'), scores(), strict=False):
        expected = expected.replace(old, f"{old.split(':')[0]}:{' ' * old.count(': ')}{new!r}", 1)
    assert Path("out.json").read_text(encoding="utf-8") == expected
    assert scores()[:3] == pytest.approx([4 * 5 / (1 + 4 * 5), 1.25 / 2.25, 5 / 3 / (1 + 5 / 3)])  # odds / p


def test_none_needs_no_frequencies_and_copies_the_file(folder: Path) -> None:
    result = ltcal("in.json", "--method", "none", "-o", "out.json")
    assert result.exit_code == 0
    assert Path("out.json").read_text(encoding="utf-8") == PREDICTIONS


def test_other_methods_without_counts_need_none_either(folder: Path) -> None:
    assert ltcal("in.json", "--method", "temperature:2", "-o", "out.json").exit_code == 0
    assert scores()[0] == pytest.approx(sigmoid(math.log(4) / 2))


def test_methods_follow_one_another(folder: Path) -> None:
    rescored("temperature:2+norcal:gamma=1")
    assert scores()[0] == pytest.approx(sigmoid(math.log(4) / 2 - math.log(2)))


def test_compressed_files_stay_compressed(folder: Path) -> None:
    Path("in.json.gz").write_bytes(gzip.compress(PREDICTIONS.encode()))
    rescored("none", source="in.json.gz", out="out.json.gz")
    assert gzip.decompress(Path("out.json.gz").read_bytes()).decode() == PREDICTIONS


def test_parquet_stays_parquet(folder: Path) -> None:
    entries = pd.DataFrame(json.loads(PREDICTIONS))[["image_id", "category_id", "bbox", "score"]]
    entries.to_parquet("in.parquet")
    rescored("norcal", source="in.parquet", out="out.parquet")
    rescored("norcal")
    written = pd.read_parquet("out.parquet")
    assert written["score"].tolist() == scores()
    kept, given = (table.drop(columns="score") for table in (written, pd.read_parquet("in.parquet")))
    pd.testing.assert_frame_equal(kept, given)


def test_json_is_not_turned_into_parquet(folder: Path) -> None:
    assert "write JSON to JSON" in refused("in.json", "--method", "none", "-o", "out.parquet")


def test_an_empty_list_stays_empty(folder: Path) -> None:
    Path("in.json").write_text("[]")
    message = rescored("iif")
    assert Path("out.json").read_text() == "[]"
    assert "wrote 0 detections (iif) to out.json\n" in message
    assert "0 of 0 images hold more than 100 detections, 0 more than 300." in message


def test_classes_that_never_occur_are_named(folder: Path) -> None:
    assert (
        "1 of 3 classes never occur; counted as the rarest class that does, n = 2 (zero_count=max): 9 never\n"
        in rescored("norcal")
    )


def test_the_zero_count_policy_can_be_chosen(folder: Path) -> None:
    assert "counted as n = 1 of K + 1" in rescored("norcal", "--zero-count", "smooth")
    message = refused("in.json", "--freq", "freq.csv", "--method", "iif", "-o", "no.json", "--zero-count", "error")
    assert "category_id 9: expected a count above 0, found 0" in message


def test_the_spec_overrides_the_policy(folder: Path) -> None:
    assert "(zero_count=max)" in rescored("iif:zero_count=max", "--zero-count", "smooth")


def test_it_states_when_ap_cannot_change(folder: Path) -> None:
    assert rescored("norcal").endswith(
        "wrote 4 detections (norcal:gamma=0.6) to out.json\n"
        "0 of 2 images hold more than 100 detections, 0 more than 300. The order within each category is kept, so "
        "per-category AP (AP, APr, APc, APf) cannot change at 300 detections per image. Pooled AP, reliability and "
        "errors between classes can; to change AP, adjust full logits.\n"
    )


def test_ap_is_then_bit_identical(folder: Path) -> None:
    """Raw IIF drives many scores of the example to 1, where they must stay different."""
    example = Path(__file__).parents[2] / "examples" / "digit_scenes"
    runner = CliRunner()
    runner.invoke(main, ["compute-freq", str(example / "train.json"), "-o", "freq.csv"])
    message = rescored("iif", source=str(example / "predictions.json"))
    assert "cannot change" in message
    files = [str(example / "predictions.json"), "out.json", "--annotations", str(example / "val.json")]
    assert runner.invoke(main, ["report", *files, "--pooled-ap", "--json", "report.json"]).exit_code == 0
    before, after = (run["metrics"]["bbox"] for run in json.loads(Path("report.json").read_text())["runs"])
    assert before.pop("APpool") != after.pop("APpool")
    assert before == after


def crowded(detections: int) -> None:
    """A result file of two images, the first with so many detections."""
    entries = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5}] * detections
    Path("in.json").write_text(json.dumps([*entries, {**entries[0], "image_id": 7}]))


def test_an_image_at_the_limit_changes_nothing(folder: Path) -> None:
    crowded(300)
    message = rescored("norcal")
    assert "1 of 2 images hold more than 100 detections, 0 more than 300." in message
    assert "cannot change" in message


def test_an_image_above_the_limit_lets_ap_change(folder: Path) -> None:
    crowded(301)
    message = rescored("norcal")
    assert "1 of 2 images hold more than 100 detections, 1 more than 300." in message
    assert "can change only through the limit per image; under COCO, which limits each category, it cannot." in message


def test_the_old_limit_has_no_effect_and_gives_a_warning(folder: Path) -> None:
    message = rescored("norcal", "--max-dets", "2")
    assert "deprecated" in message
    assert "0 of 2 images hold more than 100 detections, 0 more than 300." in message


def test_a_negative_weight_is_named_and_reverses_the_order(folder: Path) -> None:
    message = rescored("iif:relative")
    assert "1 of 3 classes have a negative weight, which reverses the order of their scores: 4 often\n" in message
    assert "The order within some categories changes, and AP with it." in message


def test_logits_are_shifted_directly(folder: Path) -> None:
    entries = [{"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": z} for z in (-3.5, 0.0, 12.25)]
    Path("in.json").write_text(json.dumps(entries))
    rescored("norcal:gamma=1", "--score-space", "logit")
    assert scores() == pytest.approx([z - math.log(8) for z in (-3.5, 0.0, 12.25)])


def test_scores_outside_0_to_1_are_refused_as_probabilities(folder: Path) -> None:
    entries: list[dict[str, Any]] = [
        {"image_id": image, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5 * image} for image in range(15)
    ]
    Path("in.json").write_text(json.dumps(entries))
    message = refused("in.json", "--freq", "freq.csv", "--method", "iif", "-o", "out.json")
    assert "in.json: 12 problems\n  entry 3 (image_id 3): expected a score in [0, 1], found 1.5\n" in message
    assert "entry 12 (image_id 12)" in message
    assert "... and 2 more\nFix: if the scores are logits, pass --score-space logit\n" in message


def test_a_category_without_a_row_is_refused(folder: Path) -> None:
    Path("freq.csv").write_text("category_id,image_count,instance_count\n3,2,3\n")
    message = refused("in.json", "--freq", "freq.csv", "--method", "iif", "-o", "out.json")
    assert "in.json: 2 problems" in message
    assert "category_id 4 (first in entry 1): expected a row in the frequency table, found none" in message
    assert "category_id 9 (first in entry 3)" in message


@pytest.mark.parametrize(
    ("spec", "hint"), [("ifi", "did you mean iif?"), ("norcal:gama=1", "did you mean gamma?"), ("norcal:-1", "from 0")]
)
def test_a_wrong_method_is_refused(folder: Path, spec: str, hint: str) -> None:
    assert hint in refused("in.json", "--freq", "freq.csv", "--method", spec, "-o", "out.json")


def test_a_method_with_counts_needs_frequencies(folder: Path) -> None:
    message = refused("in.json", "--method", "iif", "-o", "out.json")
    assert "--freq: frequency table: expected one, for the method iif, found none" in message


def test_the_input_is_not_written_over(folder: Path) -> None:
    assert "found that of an input" in refused("in.json", "--method", "none", "-o", "in.json")
    os.link("in.json", "same.json")
    assert "found that of an input" in refused("in.json", "--method", "none", "-o", "same.json")


def test_the_frequency_table_is_not_written_over(folder: Path) -> None:
    message = refused("in.json", "--freq", "freq.csv", "--method", "iif", "-o", "freq.csv")
    assert "found that of an input" in message


@pytest.mark.parametrize("content", ["", "{}", PREDICTIONS[:-3], '[{"image_id": 1}]', '[{"score": NaN}]'])
def test_a_broken_file_is_refused(folder: Path, content: str) -> None:
    Path("in.json").write_text(content)
    assert refused("in.json", "--freq", "freq.csv", "--method", "iif", "-o", "out.json").startswith("Error: in.json: ")


def test_a_missing_file_is_refused(folder: Path) -> None:
    message = refused("no.json", "--method", "none", "-o", "out.json")
    assert "no.json: file: expected a file that can be read, found No such file or directory" in message


def test_learned_parameters_go_by_the_classes_of_the_table(folder: Path) -> None:
    """A result file may lack some classes of the model."""
    Path("one.json").write_text('[{"image_id": 1, "category_id": 4, "bbox": [0, 0, 1, 1], "score": 0.8}]')
    Path("alpha.csv").write_text("category_id,alpha\n3,5\n4,2\n9,7\n")
    message = refused("one.json", "--method", "lws:file=alpha.csv", "-o", "out.json")
    assert "--freq: frequency table: expected one, for the classes of lws:file=alpha.csv, found none" in message
    rescored("lws:file=alpha.csv", source="one.json")
    assert scores() == pytest.approx([sigmoid(2 * math.log(4))])


def test_an_unwritable_output_is_refused(folder: Path) -> None:
    message = refused("in.json", "--method", "none", "-o", "no/folder/out.json")
    assert "expected a path that can be written to, found no such folder" in message


@pytest.mark.parametrize("missing", [["in.json", "--method", "none"], ["in.json", "-o", "out.json"], []])
def test_missing_arguments_are_named(folder: Path, missing: list[str]) -> None:
    assert "Missing" in refused(*missing)


def test_the_name_of_an_output_cannot_command_a_runner(folder: Path) -> None:
    assert "\n::error" not in rescored("norcal", out="a\n::error::b.json")
    assert Path("a\n::error::b.json").exists()
