"""Frequency tables read back from their files; tables made by hand are checked."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail_cli.errors import InputError, MissingExtraError, OutputError, UsageError
from longtail_cli.files.frequencies import (
    frequencies_csv,
    frequency_table_of,
    read_frequencies,
    write_frequencies,
)
from longtail_cli.tables import FrequencyTable

NAMES = ("plain", 'comma, "quote"', "🐟 fish", "", "=SUM(A1)", "  spaces ")


def table(num_images: int | None = 57) -> FrequencyTable:
    image_count = np.array([0, 1, 3, 19, 57, 7])
    return FrequencyTable(
        category_id=np.array([-3, 0, 2, 5, 900, 2**40]),
        name=NAMES,
        image_count=image_count,
        instance_count=2 * image_count,
        group=("r", "r", "r", "c", "c", "r"),
        num_images=num_images,
    )


def assert_equal(one: FrequencyTable, other: FrequencyTable) -> None:
    for field in ("category_id", "image_count", "instance_count"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    assert (one.name, one.group, one.num_images) == (other.name, other.group, other.num_images)


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_frequencies(path)
    return str(error.value)


@pytest.fixture
def csv_of(tmp_path: Path) -> Any:
    def write(*lines: str) -> Path:
        path = tmp_path / "freq.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
@pytest.mark.parametrize("num_images", [57, 100170, None])
def test_round_trip(tmp_path: Path, suffix: str, num_images: int | None) -> None:
    path = tmp_path / f"freq{suffix}"
    write_frequencies(table(num_images), path, {"iif_raw": np.linspace(0, 1, 6)})
    assert_equal(read_frequencies(path), table(num_images))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("suffix", "found"), [(".csv", "two\N{REPLACEMENT CHARACTER}lines"), (".json", "two\nlines")])
def test_a_csv_file_has_one_line_for_each_class(tmp_path: Path, suffix: str, found: str) -> None:
    path = tmp_path / f"freq{suffix}"
    write_frequencies(dataclasses.replace(table(), name=("two\nlines",) * 6), path, {})
    assert read_frequencies(path).name == (found,) * 6


def test_exact_text_of_a_csv_file() -> None:
    small = FrequencyTable(np.array([1, 4]), ('a, "b"', "c"), np.array([1, 3]), np.array([2, 3]), ("r", "r"), 3)
    assert frequencies_csv(small, {"iif_raw": np.array([np.log(3), 0.0])}) == (
        "category_id,name,image_count,instance_count,group,image_rate,iif_raw\n"
        '1,"a, ""b""",1,2,r,0.3333333333333333,1.0986122886681098\n'
        "4,c,3,3,r,1.0,0.0\n"
    )


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_round_trip_of_the_fractal_dimension(tmp_path: Path, suffix: str) -> None:
    dimension = np.array([1.0, 1.5849625007211562, 2.0, 1.0, 1.1, 4 / 3])
    path = tmp_path / f"freq{suffix}"
    write_frequencies(dataclasses.replace(table(), fractal_dimension=dimension), path, {"iif_raw": np.zeros(6)})
    read = read_frequencies(path)
    assert_equal(read, table())
    assert read.fractal_dimension is not None
    assert read.fractal_dimension.tolist() == dimension.tolist()


def test_no_fractal_dimension(tmp_path: Path) -> None:
    write_frequencies(table(), tmp_path / "freq.csv", {})
    assert read_frequencies(tmp_path / "freq.csv").fractal_dimension is None


def test_the_fractal_dimension_comes_before_the_weights() -> None:
    small = FrequencyTable(np.array([1]), ("a",), np.array([1]), np.array([2]), ("r",), 4, np.array([1.5]))
    assert frequencies_csv(small, {"iif_raw": np.array([0.0])}) == (
        "category_id,name,image_count,instance_count,group,image_rate,fractal_dimension,iif_raw\n"
        "1,a,1,2,r,0.25,1.5,0.0\n"
    )


def test_fractal_dimensions_follow_their_rows(csv_of: Any) -> None:
    columns = "fractal_dimension,category_id,image_count,instance_count"
    read = read_frequencies(csv_of(columns, "1.75,9,1,1", "1,3,1,1"))
    assert read.fractal_dimension is not None
    assert read.fractal_dimension.tolist() == [1.0, 1.75]


@pytest.mark.parametrize("cell", ["0.99", "-1", "nan", "inf", "x", ""])
def test_invalid_fractal_dimensions(csv_of: Any, cell: str) -> None:
    columns = "category_id,image_count,instance_count,fractal_dimension"
    message = message_of(csv_of(columns, "1,1,1,1.5", f"2,1,1,{cell}"))
    expected = f"row 2 (category_id 2), `fractal_dimension`: expected a number of 1 or more, found {cell or 'nothing'}"
    assert expected in message
    assert "count again with `fractal_dimension=True`, or remove the column `fractal_dimension`" in message


def test_json_and_parquet_state_the_number_of_images(tmp_path: Path) -> None:
    import pyarrow.parquet

    write_frequencies(table(), tmp_path / "freq.json", {})
    document = json.loads((tmp_path / "freq.json").read_text())
    assert (document["format"], document["num_images"]) == ("ltcal-frequency/1", 57)
    assert [entry["name"] for entry in document["classes"]] == list(NAMES)
    write_frequencies(table(), tmp_path / "freq.parquet", {})
    metadata = pyarrow.parquet.read_schema(tmp_path / "freq.parquet").metadata
    assert (metadata[b"format"], metadata[b"num_images"]) == (b"ltcal-frequency/1", b"57")


def test_unknown_rates_are_empty() -> None:
    assert frequencies_csv(table(None), {}).splitlines()[1] == "-3,plain,0,0,r,"


def test_a_table_of_zeros_does_not_give_the_number_of_images(tmp_path: Path) -> None:
    zeros = FrequencyTable(np.array([1]), ("a",), np.array([0]), np.array([0]), ("r",), 10)
    write_frequencies(zeros, tmp_path / "freq.csv", {})
    assert read_frequencies(tmp_path / "freq.csv").num_images is None


def test_the_required_columns_in_any_order(csv_of: Any) -> None:
    read = read_frequencies(csv_of("note,instance_count,category_id,image_count", "x,300,7,101", "y,5.0,3,4"))
    assert read.category_id.tolist() == [3, 7]
    assert read.image_count.tolist() == [4, 101]
    assert read.instance_count.tolist() == [5, 300]
    assert read.group == ("r", "f")
    assert read.name == ("", "")
    assert read.num_images is None


def test_missing_columns_are_named(csv_of: Any) -> None:
    message = message_of(csv_of("id,count", "1,2"))
    assert "expected the columns `category_id`, `image_count`, `instance_count`, found `id`, `count`" in message


HEADER = "category_id,name,image_count,instance_count,group,image_rate"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("x,a,1,1,r,", "row 1 (category_id x), `category_id`: expected a whole number, found x"),
        ("1,a,-1,1,r,", "row 1 (category_id 1), `image_count`: expected a whole number of 0 or more, found -1"),
        ("1,a,1.5,2,r,", "`image_count`: expected a whole number of 0 or more, found 1.5"),
        ("1,a,NaN,2,r,", "`image_count`: expected a whole number of 0 or more, found NaN"),
        ("1,a,,2,r,", "`image_count`: expected a whole number of 0 or more, found nothing"),
        (f"{2**63},a,1,2,r,", "`category_id`: expected a whole number, found"),
        ("1,a,3,2,r,", "`instance_count`: expected at least its image_count, 3, found 2"),
        ("1,a,3,3,x,", "`group`: expected one of r, c, f, found x"),
        ("1,a,3,3,r,nan", "`image_rate`: expected image_count / images, found nan"),
        ("1,a,3,3,r,1.5", "`image_rate`: expected image_count / images, found 1.5"),
        ("1,a,3,3,r,1e-300", "`image_rate`: expected image_count / images, found 1e-300"),
    ],
)
def test_invalid_cells(csv_of: Any, row: str, expected: str) -> None:
    assert expected in message_of(csv_of(HEADER, row))


def test_problems_are_reported_together(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "1,a,x,1,r,", "2,b,1,y,r,", "z,c,1,1,r,"))
    assert "3 problems" in message


def test_repeated_ids(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "4,a,1,1,r,", "5,b,1,1,r,", "4,c,1,1,r,"))
    assert "row 3: expected a `category_id` of only one row, found 4, as in row 1" in message


def test_rates_of_different_image_numbers(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "1,a,50,50,c,0.5", "2,b,20,20,c,0.1"))
    assert "row 2 (category_id 2), `image_rate`: expected 0.2, by the other rows, found 0.1" in message


def test_rates_with_few_digits_are_refused(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "1,a,50,50,c,0.33", "2,b,20,20,c,0.13"))
    assert "make the table again with `ltcal compute-freq`" in message


def test_groups_of_two_kinds(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "1,a,5,5,few,", "2,b,5,5,r,"))
    assert "expected one of few, medium, many, found r" in message


def test_a_name_with_a_comma_but_no_quotes(csv_of: Any) -> None:
    message = message_of(csv_of(HEADER, "1,a,b,5,5,r,"))
    assert "row 1: expected 6 cells, found 7" in message


@pytest.mark.parametrize("text", ["", HEADER + "\n"])
def test_tables_without_classes(tmp_path: Path, text: str) -> None:
    (tmp_path / "freq.csv").write_text(text)
    assert "expected" in message_of(tmp_path / "freq.csv")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "content: expected JSON, found"),
        ("[]", 'expected an object of "format": "ltcal-frequency/1" with a list "classes"'),
        ('{"classes": [1]}', 'with a list "classes" of objects'),
        ('{"classes": []}', "the columns `category_id`"),
        (
            '{"num_images": 2, "classes": [{"category_id": 1, "image_count": 3, "instance_count": 3}]}',
            "at most the number",
        ),
        ('{"num_images": "x", "classes": [{"category_id": 1, "image_count": 3, "instance_count": 3}]}', "num_images: "),
        ('{"classes": [{"category_id": true, "image_count": 3, "instance_count": 3}]}', "a whole number, found True"),
        ('{"classes": [{"category_id": 1, "image_count": 3}]}', "the columns `instance_count`"),
    ],
)
def test_json_that_is_not_a_table(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "freq.json").write_text(text)
    assert expected in message_of(tmp_path / "freq.json")


def test_invalid_parquet(tmp_path: Path) -> None:
    (tmp_path / "freq.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    assert "expected a Parquet file" in message_of(tmp_path / "freq.parquet")


def test_other_suffixes(tmp_path: Path) -> None:
    (tmp_path / "freq.xlsx").write_text("x")
    assert "a file that ends in .csv, .json, .parquet, found freq.xlsx" in message_of(tmp_path / "freq.xlsx")
    with pytest.raises(UsageError, match=r"one that ends in \.csv, \.json, .parquet, found freq.xlsx"):
        write_frequencies(table(), tmp_path / "freq.xlsx", {})


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a path that can be written to"):
        write_frequencies(table(), tmp_path / "nowhere" / "freq.csv", {})


@pytest.mark.parametrize("num_images", [57, None])
@pytest.mark.parametrize("dimension", [None, np.linspace(1, 2, 6)])
def test_round_trip_of_a_data_frame(num_images: int | None, dimension: Any) -> None:
    whole = dataclasses.replace(table(num_images), fractal_dimension=dimension)
    frame = whole.to_frame()
    header = frequencies_csv(whole, {}).splitlines()[0]
    assert ",".join(frame.columns) == header
    assert frame["image_rate"].dtype == np.float64
    read = frequency_table_of(frame.iloc[::-1])
    assert_equal(read, whole)
    assert (read.fractal_dimension is None) == (dimension is None)
    assert dimension is None or read.fractal_dimension.tolist() == dimension.tolist()


def test_sequences_by_name() -> None:
    columns = {"category_id": [7, 3], "image_count": np.array([101, 4]), "instance_count": (300.0, np.float32(5))}
    read = frequency_table_of(columns)
    assert read.category_id.tolist() == [3, 7]
    assert read.instance_count.tolist() == [5, 300]
    assert read.group == ("r", "f")


def test_missing_values_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    columns = {"category_id": [1, 2], "image_count": [3, 4], "instance_count": [3, 4]}
    frame = pandas.DataFrame({**columns, "name": ["a", None], "image_rate": [np.nan, np.nan]})
    assert frequency_table_of(frame).name == ("a", "")
    assert frequency_table_of(frame).num_images is None
    frame["name"] = pandas.array(["a", pandas.NA], "string")
    assert frequency_table_of(frame).name == ("a", "")
    frame["image_count"] = pandas.array([3, pandas.NA], "Int64")
    with pytest.raises(InputError, match=r"row 2 \(category_id 2\), `image_count`: .* found nothing"):
        frequency_table_of(frame)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"category_id": [4, 4]}, "freq: row 2: expected a `category_id` of only one row, found 4, as in row 1"),
        ({"image_count": [1.5, 2]}, "`image_count`: expected a whole number of 0 or more, found 1.5"),
        ({"image_count": [9, 2]}, "`instance_count`: expected at least its image_count, 9, found 3"),
        ({"image_count": np.ones((2, 2))}, "`image_count`: expected a whole number of 0 or more, found [1. 1.]"),
        ({"group": ["r"]}, "column `group`: expected 2 cells, as in the longest, found 1"),
        ({"fractal_dimension": [1.5, np.nan]}, "`fractal_dimension`: expected a number of 1 or more, found nothing"),
    ],
)
def test_invalid_columns(changes: dict[str, Any], expected: str) -> None:
    columns = {"category_id": [1, 2], "image_count": [3, 4], "instance_count": [3, 4]}
    with pytest.raises(InputError) as error:
        frequency_table_of({**columns, **changes}, "freq")
    assert expected in str(error.value)


def test_data_frames_need_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError) as error:
        table().to_frame()
    assert str(error.value) == (
        "pandas: package: expected pandas, for data frames, found none\nFix: install it: pip install 'ltcal[pandas]'"
    )
