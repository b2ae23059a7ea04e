"""Files passed as a baseline, and how invalid ones are refused."""

import json

import pytest
from reports import report, run

from longtail_cli.errors import InputError
from longtail_cli.files.report_files import read_baseline
from longtail_cli.reports.json import from_json, to_json


def read(path):
    return from_json(read_baseline(path), str(path))


def test_a_report_reads_back(tmp_path):
    one = report(run("a", 0.0, category='猫, "<b>" 🐈'))
    path = tmp_path / "report.json"
    path.write_text(to_json(one), encoding="utf-8")
    assert read(path) == one
    path.write_text(to_json(one), encoding="utf-8-sig")
    assert read(path) == one


WHOLE = to_json(report(run("a", 0.0)))


@pytest.mark.parametrize(
    ("content", "found", "fix"),
    [
        (b"", "an empty file (0 bytes)", "the step that should have written the file"),
        (b"PAR1\xff\xfe", "can't decode byte", "pass a file that `ltcal report` wrote with `json=`"),
        (b"bbox/APr,0.18\n", "JSON is malformed", "pass a JSON file that `ltcal report` wrote"),
        (WHOLE[:-200].encode(), "truncated", "the file is truncated"),
        (b'[{"image_id": 1, "category_id": 2}]', "got `array`", "this is a list, like a result file"),
        (b'{"images": [], "annotations": []}', "missing required field `format`", "pass a JSON file that"),
        (b'{"format": "ltcal-report/2", "runs": 3}', "expected ltcal-report/1, found ltcal-report/2", "update ltcal"),
        (b'{"format": "ltcal-report/1"}', "missing required field", "pass a JSON file that"),
        (WHOLE.replace('"AP": 0.25', '"AP": NaN').encode(), "malformed", "NaN or Infinity, which are not JSON"),
        (WHOLE.replace('"AP": 0.25', '"AP": -Infinity').encode(), "malformed", "NaN or Infinity, which are not JSON"),
    ],
)
def test_anything_else_is_refused_with_the_reason_and_what_to_pass(tmp_path, content, found, fix):
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.source == str(path)
    assert found in str(caught.value)
    assert fix in caught.value.fix


def test_a_missing_baseline_is_an_error(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(InputError, match="Is a directory"):
        read(tmp_path)


def test_a_report_is_standard_json():
    assert json.loads(WHOLE, parse_constant=pytest.fail)["format"] == "ltcal-report/1"
