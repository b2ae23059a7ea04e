"""Files that are passed as a baseline and are none."""

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
        (b"", "an empty file (0 bytes)", "the step that was to write the file"),
        (b"PAR1\xff\xfe", "can't decode byte", "pass a file that `ltcal report --json` wrote"),
        (b"bbox/APr,0.18\n", "JSON is malformed", "pass a file that `ltcal report --json` wrote"),
        (WHOLE[:-200].encode(), "truncated", "the file is cut off"),
        (b'[{"image_id": 1, "category_id": 2}]', "got `array`", "this is a list, as result files are"),
        (b'{"images": [], "annotations": []}', "missing required field `format`", "pass a file that"),
        (b'{"format": "ltcal-report/2", "runs": 3}', "expected ltcal-report/1, found ltcal-report/2", "update ltcal"),
        (b'{"format": "ltcal-report/1"}', "missing required field", "pass a file that"),
        (WHOLE.replace('"AP": 0.25', '"AP": NaN').encode(), "malformed", "NaN or Infinity, which are no JSON"),
        (WHOLE.replace('"AP": 0.25', '"AP": -Infinity').encode(), "malformed", "NaN or Infinity, which are no JSON"),
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


def test_a_path_that_leads_nowhere_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(InputError, match="Is a directory"):
        read(tmp_path)


def test_a_report_keeps_to_standard_json():
    assert json.loads(WHOLE, parse_constant=pytest.fail)["format"] == "ltcal-report/1"
