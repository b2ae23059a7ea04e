"""The resampled metrics beside a report."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.report_files import read_resamples, resamples_path, write_resamples
from longtail_cli.metrics import Resamples

TWO_RUNS = Resamples(
    seed=3,
    sha256="00ff",
    runs={
        "before": {"bbox/AP": np.array([0.1, 0.2, 0.3]), "bbox/APr": np.array([np.nan, 0.5, 0.5])},
        "after, \N{SNOWMAN}": {"bbox/AP": np.array([0.4, 0.5, 1 / 3]), "bbox/APr": np.array([0.0, 0.25, 0.125])},
    },
)


def test_the_file_is_beside_the_json():
    assert resamples_path(Path("out/report.json")) == Path("out/report.ltcal.parquet")


def test_a_round_trip_is_exact(tmp_path: Path):
    path = tmp_path / "report.ltcal.parquet"
    write_resamples(path, TWO_RUNS)
    found = read_resamples(path)
    assert (found.seed, found.sha256, found.number) == (3, "00ff", 3)
    assert list(found.runs) == list(TWO_RUNS.runs)
    for name, run in TWO_RUNS.runs.items():
        assert list(found.runs[name]) == list(run)
        for metric, values in run.items():
            np.testing.assert_array_equal(found.runs[name][metric], values)


def test_other_tools_see_one_row_per_run_and_resample(tmp_path: Path):
    path = tmp_path / "report.ltcal.parquet"
    write_resamples(path, TWO_RUNS)
    table = pq.read_table(path)
    assert table.column_names == ["run", "resample", "bbox/AP", "bbox/APr"]
    assert table["resample"].to_pylist() == [0, 1, 2, 0, 1, 2]
    assert table["run"].to_pylist()[0] == "before"


@pytest.mark.parametrize("content", [b"no parquet", b"PAR1"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "report.ltcal.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="write the report again with `bootstrap=True` and `json=`"):
        read_resamples(path)


def test_a_table_of_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "report.ltcal.parquet"
    pq.write_table(pa.table({"run": ["a"]}), path)
    with pytest.raises(InputError, match="ltcal-resamples/1"):
        read_resamples(path)


@pytest.mark.parametrize("values", [["0.1", "0.2"], [0.1, None], [[0.1], [0.2]]])
def test_metrics_are_numbers(tmp_path: Path, values: list[object]):
    path = tmp_path / "report.ltcal.parquet"
    write_resamples(path, Resamples(3, "00ff", {"before": {"bbox/AP": np.array([0.1, 0.2])}}))
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.set_column(2, "bbox/AP", pa.array(values)), path)
    with pytest.raises(InputError, match="expected rows of numbers, of type double"):
        read_resamples(path)
