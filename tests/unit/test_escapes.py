"""Names from files in the outputs that hold them."""

import csv
import io
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import HOSTILE

from longtail_cli.escapes import csv_cell, csv_text, one_line, xml_text

REPLACED = "\N{REPLACEMENT CHARACTER}"
names = st.text() | st.sampled_from(HOSTILE)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("café 猫", "café 猫"),
        ("a\n::error::b", f"a{REPLACED}::error::b"),
        ("::error::b", f"{REPLACED}:error::b"),
        ("##[error]b", f"{REPLACED}#[error]b"),
        ("\x1b[31mred", f"{REPLACED}[31mred"),
        ("a\u202eb", f"a{REPLACED}b"),
    ],
)
def test_a_line_holds_nothing_that_a_terminal_or_a_runner_interprets(name: str, line: str) -> None:
    assert one_line(name) == line


@given(names)
def test_a_cell_is_one_line_of_text_without_formula(name: str) -> None:
    cell = csv_cell(name)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in cell)
    assert not cell.startswith(("=", "+", "-", "@"))
    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerow([cell])
    assert record.getvalue().count("\n") == 1
    assert next(csv.reader([record.getvalue()])) == [cell]


@given(st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="#"), max_size=8))
def test_printable_names_come_back_from_a_cell(name: str) -> None:
    assert csv_text(csv_cell(name)) == name
    assert csv_text(csv_cell(f"={name}")) == f"={name}"
    assert csv_text(csv_cell(f"'={name}")) == f"'={name}"


@given(names)
def test_xml_can_hold_any_name(name: str) -> None:
    element = ElementTree.Element("name")
    element.text = xml_text(name)
    ElementTree.fromstring(ElementTree.tostring(element))
