"""Slices as files and in memory state them, and what is refused."""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.slices import MOST_SLICES, read_slices, slices_of


def lists(found):
    """The members of each slice: ids, or file names."""
    parts = zip(found.name, found.start[:-1].tolist(), found.start[1:].tolist(), strict=True)
    members = {name: found.member[first:last].tolist() for name, first, last in parts}
    if found.key == "file_name":
        return {name: [found.file_names[index] for index in own] for name, own in members.items()}
    return members


@pytest.fixture
def read(tmp_path):
    def of(text, suffix=".json"):
        path = tmp_path / f"slices{suffix}"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return read_slices(path)

    return of


@pytest.fixture
def refused(read):
    """The problems of a file, without its name, and the fix."""

    def of(text, suffix=".json"):
        with pytest.raises(InputError) as caught:
            read(text, suffix)
        error = caught.value
        return [f"{one.where}: expected {one.expected}, found {one.found}" for one in error.problems], error.fix

    return of


def test_json_lists_images_by_name_of_the_slice(read):
    found = read({"night": [4, 2], "day, dry": [9]})
    assert (found.key, lists(found)) == ("number", {"night": [4, 2], "day, dry": [9]})


def test_images_may_be_given_by_file_name(read):
    found = read({"night": ["b.jpg", "a.jpg"], "wet": ["a.jpg"]})
    assert (found.key, found.file_names) == ("file_name", ("b.jpg", "a.jpg"))
    assert lists(found) == {"night": ["b.jpg", "a.jpg"], "wet": ["a.jpg"]}


def test_a_file_may_be_compressed(tmp_path):
    path = tmp_path / "slices.json.gz"
    path.write_bytes(gzip.compress(b'{"night": [1]}'))
    assert lists(read_slices(path)) == {"night": [1]}


def test_a_table_has_a_row_for_each_image_of_a_slice(read):
    found = read("slice,image_id\nnight,4\nwet,4\nnight,2\n", ".csv")
    assert (found.key, lists(found)) == ("image_id", {"night": [4, 2], "wet": [4]})


def test_each_value_of_an_attribute_is_a_slice_and_an_empty_cell_is_none(read):
    found = read("image_id,file_name,weather,lanes\n4,a.jpg,sun,2\n2,b.jpg,rain,1\n9,c.jpg,,2.0\n", ".csv")
    assert lists(found) == {"weather=rain": [2], "weather=sun": [4], "lanes=1": [2], "lanes=2": [4, 9]}


def test_a_table_without_ids_names_files(read):
    assert lists(read("file_name,dark\na.jpg,True\nb.jpg,False\n", ".csv")) == {
        "dark=False": ["b.jpg"],
        "dark=True": ["a.jpg"],
    }


def test_parquet_has_the_same_columns_as_csv(tmp_path):
    path = tmp_path / "slices.parquet"
    pq.write_table(pa.table({"image_id": [4, 2, 9], "dark": [True, None, False], "lens": [1.5, 2.0, None]}), path)
    assert lists(read_slices(path)) == {"dark=False": [9], "dark=True": [4], "lens=1.5": [4], "lens=2": [2]}


def test_slices_in_memory_are_lists_arrays_and_data_frames():
    assert lists(slices_of({"night": np.array([4, 2]), "day": range(3)})) == {"night": [4, 2], "day": [0, 1, 2]}
    frame = pd.DataFrame({"image_id": [4, 2, 9], "weather": ["sun", None, "sun"]})
    assert lists(slices_of(frame)) == {"weather=sun": [4, 9]}
    assert frame.columns.tolist() == ["image_id", "weather"]


def test_rows_of_a_classifier_have_their_own_column(read):
    assert read("row,lens\n0,wide\n1,long\n", ".csv").key == "row"


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("[1, 2]", "content: expected an object of slices by name, found a value of type list", '{"night": [1, 2]'),
        ('{"a": [1,', "content: expected JSON, found Expecting value: line 1 column 10 (char 9)", '{"night": [1, 2]'),
        ("[" * 100_000, "content: expected JSON, found too many levels", '{"night": [1, 2]'),
        ("{}", "content: expected at least one slice, found none", '{"night": [1, 2]'),
        ('{"a": 3}', "slice 'a': expected a list of image ids or file names, found 3", '{"night": [1, 2]'),
        ('{"a": []}', "slice 'a': expected at least one image, found none", "leave the slice out"),
        ('{"a": [1, 2, 1]}', "slice 'a': expected each image once, found 1 twice", "list each image of a slice once"),
        ('{"a": [1], "a": [2]}', "slice 'a': expected each name once, found it twice", "its own name"),
        ('{"a": [1, NaN]}', "slice 'a', entry 2: expected an integer of at most 64 bits, found nan",
         "write integers without quotes"),
        ('{"a": [true]}', "slice 'a', entry 1: expected an integer of at most 64 bits, found true", "write integers"),
        ('{"a": [1], "b": ["x"]}', "slice 'b', entry 1: expected an integer of at most 64 bits, found 'x'",
         "write integers without quotes"),
        ('{"a": [1, 99999999999999999999]}', "slice 'a', entry 2: expected an integer of at most 64 bits, found a "
         "longer integer", "write integers without quotes"),
        ('{"image_id": [1], "weather": ["sun"]}', "slices: expected lists of images by name, found `image_id`, which "
         "is a column of a table", "write tables as .csv"),
    ],
)  # fmt: skip
def test_a_json_file_that_is_refused(refused, text, problem, fix):
    problems, found = refused(text)
    assert problems == [problem]
    assert fix in found


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\x1b[31m", "\u202egnp", " night", "x" * 201])
def test_a_name_that_cannot_be_part_of_that_of_a_metric_is_refused(refused, name):
    problems, fix = refused({name: [1]})
    assert problems == [
        f"name of a slice: expected text without `/`, control characters and blanks around it, found {ascii(name)[:60]}"
    ]
    assert fix == "choose names of at most 200 characters that can be printed, without `/`"


def test_all_kinds_of_faults_are_listed_at_once(refused):
    problems, fix = refused('{"a": [], "b": [1, 1], "c/d": [2]}')
    assert [one.partition(":")[0] for one in problems] == ["name of a slice", "slice 'a'", "slice 'b'"]
    assert fix.count(";") == 2


def test_more_slices_than_anyone_reads_are_refused(refused):
    problems, _ = refused({f"s{number}": [1] for number in range(MOST_SLICES + 1)})
    assert problems == ["slices: expected at most 1,000, found 1,001"]


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("id,weather\n1,sun\n", "columns: expected one column `image_id`, `file_name` or `row`, found `id`, `weather`",
         "begin with a header: slice,image_id"),
        ("row,image_id,weather\n1,1,sun\n", "columns: expected one column `image_id`, `file_name` or `row`, found "
         "`image_id`, `row`", "begin with a header"),
        ("image_id\n1\n", "columns: expected attributes of the images, or `slice`, found no other column",
         "begin with a header"),
        ("slice,image_id,weather\na,1,sun\n", "columns: expected `slice` and `image_id` alone, found `weather`",
         "begin with a header"),
        ("image_id,sun,sun\n1,1,1\n", "header: expected different names of columns, found `sun` twice",
         "begin with a header"),
        ("image_id,\n1,1\n", "header: expected different names of columns, found a column without a name",
         "begin with a header"),
        ("image_id,weather\n", "content: expected at least one row, found none", "state the image of each row"),
        ("image_id,weather\n1,sun,wet\n", "row 1: expected 2 cells, found 3", "put values that hold commas in quotes"),
        ("image_id,weather\n1,sun\n1,rain\n", "column `image_id`: expected each image once, found 1 twice",
         "write one row for each image"),
        ("image_id,weather\n2.5,sun\n", "row 1, `image_id`: expected an integer, found '2.5'", "state the image"),
        ("image_id,weather\nnan,sun\n", "row 1, `image_id`: expected an integer, found 'nan'", "state the image"),
        ("file_name,weather\n,sun\n", "row 1, `file_name`: expected a file name, found an empty cell",
         "state the image"),
        ("slice,image_id\n,1\n", "row 1, `slice`: expected the name of a slice, found an empty cell",
         "name the slice of each row"),
        ("slice,image_id\na,1\na,1\n", "slice 'a': expected each image once, found 1 twice", "list each image"),
        ("image_id,speed\n1,NaN\n", "row 1, `speed`: expected text, a number or a truth value, found 'NaN'",
         "leave the cell empty"),
        ("image_id,speed\n" + "".join(f"{i},{i / 2}\n" for i in range(11)),
         "column `speed`: expected text, or at most 10 different numbers, found 11, from 0 to 5",
         "write the range of each image instead"),
        ("image_id,weather\n1,\n", "content: expected at least one slice, found none", '{"night": [1, 2]'),
        ("image_id,a/b\n1,sun\n", "name of a slice: expected text without `/`, control characters and blanks around it,"
         " found 'a/b=sun'", "choose names"),
    ],
)  # fmt: skip
def test_a_table_that_is_refused(refused, text, problem, fix):
    problems, found = refused(text, ".csv")
    assert problems == [problem]
    assert fix in found


def test_a_file_of_another_kind_is_refused(refused):
    problems, _ = refused("night 1 2", ".txt")
    assert problems == ["name: expected a file that ends in .json, .csv or .parquet, found slices.txt"]


def test_lists_in_the_cells_of_a_parquet_file_are_refused(tmp_path):
    path = tmp_path / "slices.parquet"
    pq.write_table(pa.table({"image_id": [4], "tags": [["wet"]]}), path)
    with pytest.raises(InputError, match=r"row 1, `tags`: expected text, a number or a truth value, found \['wet'\]"):
        read_slices(path)


@pytest.mark.parametrize("value", [3, "night", [1, 2]])
def test_values_in_memory_of_another_kind_are_refused(value):
    with pytest.raises(InputError, match="expected lists of images by name, or a data frame"):
        slices_of(value)
