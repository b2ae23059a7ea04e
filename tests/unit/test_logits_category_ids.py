"""Files with the category id of each column."""

from __future__ import annotations

from pathlib import Path

import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.logits.metadata import read_category_ids


@pytest.mark.parametrize("content", ["[3, -1, 900]", "3\n-1\n900\n", "3 -1 900", "\n[3,-1,\n900]\n"])
def test_a_list_or_lines(tmp_path: Path, content: str) -> None:
    (tmp_path / "ids").write_text(content)
    assert read_category_ids(tmp_path / "ids").tolist() == [3, -1, 900]


@pytest.mark.parametrize("content", ["a\nb\n", "[1, 2", '["1"]', "[1.5]", "{}", "[99999999999999999999]", ""])
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ids").write_text(content)
    with pytest.raises(InputError, match="ids"):
        read_category_ids(tmp_path / "ids")
