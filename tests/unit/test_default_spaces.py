"""The spaces that are searched by default: each is a space, and each of its methods fits the input it is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from frequency_tables import table

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import FrequencyTable, Results
from longtail_cli.tuning import default_spaces
from longtail_cli.tuning.spaces import parse_space
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import open_with_options, prepare_methods
from longtail_cli.workflow.rescore_results import AdjustableResults

COUNTS = table([200, 30, 5], num_images=220)
WITH_DIMENSIONS = replace(COUNTS, fractal_dimension=np.array([1.9, 1.5, 1.1]))
CPU, NO_OPTIONS = torch.device("cpu"), InputOptions()
RNG = np.random.default_rng(0)


def opened(width: int, path: Path | None = None, **options: Any) -> LogitsFile:
    """Logits in memory, or at `path`."""
    tensors = {"logits": torch.from_numpy(RNG.normal(size=(12, width)).astype(np.float32))}
    if options.pop("features", False):
        tensors |= {"features": torch.randn(12, 5), "weight": torch.randn(width, 5)}
    if path is not None:
        np.savez(path, **{name: one.numpy() for name, one in tensors.items()})
    return open_with_options(path or tensors, InputOptions(category_ids=COUNTS.category_id, **options))


def scores_of(
    file: LogitsFile, spaces: tuple[str, ...], counts: FrequencyTable | None, options: Any = NO_OPTIONS
) -> dict[str, torch.Tensor]:
    """What every method of the coarse grids makes of the logits, by spec."""
    found = {}
    for text in spaces:
        space = parse_space(text)
        methods = [space.method(point) for point in space.coarse()]
        for method, one in zip(methods, prepare_methods(file, methods, counts, options, CPU), strict=True):
            (batch,) = file.batches(100)
            found[method.spec] = one.adjuster.of_batch(batch)
            assert torch.isfinite(found[method.spec]).all(), method.spec
    return found


def changes(found: dict[str, torch.Tensor], file: LogitsFile) -> bool:
    (batch,) = file.batches(100)
    unchanged = [spec for spec, one in found.items() if one.shape == batch.logits.shape and one.equal(batch.logits)]
    return unchanged in ([], ["none"], ["temperature:t=1.0"])


@pytest.mark.parametrize("background", ["first", "last"])
@pytest.mark.parametrize("counts", [None, COUNTS, WITH_DIMENSIONS])
def test_every_method_fits_a_softmax_detector(tmp_path: Path, background: Any, counts: FrequencyTable | None) -> None:
    """The label-free ones take their statistics from the file itself."""
    path = tmp_path / "logits.npz"
    file = opened(4, path, head="softmax", background=background)
    spaces = default_spaces.of_detector(file.columns, counts, default_spaces.as_source(path))
    assert any(f"prior2posterior:file={path}" in text for text in spaces)
    assert any("fracal" in text for text in spaces) == (counts is WITH_DIMENSIONS)
    assert any("norcal" in text for text in spaces) == (counts is not None)
    options = InputOptions("softmax", background, COUNTS.category_id)
    assert changes(scores_of(file, spaces, counts, options), file)


def test_every_method_fits_a_sigmoid_detector() -> None:
    file = opened(3, head="sigmoid", background="none")
    assert changes(
        scores_of(file, default_spaces.of_detector(file.columns, WITH_DIMENSIONS, None), WITH_DIMENSIONS), file
    )


def test_the_fractal_dimension_is_used_with_a_number_of_images() -> None:
    columns = opened(3, head="sigmoid", background="none").columns
    spaces = default_spaces.of_detector(columns, replace(WITH_DIMENSIONS, num_images=None), None)
    assert not any("fracal" in text for text in spaces)


def test_a_sigmoid_detector_without_counts_has_no_default() -> None:
    assert default_spaces.of_detector(opened(3, head="sigmoid", background="none").columns, None, "logits.npz") == ()


def test_every_method_follows_the_decoding_of_a_bags_head() -> None:
    columns = replace(opened(3, head="softmax", background="none").columns, head="bags", bags=((3,), (1, 2)))
    spaces = default_spaces.of_detector(columns, COUNTS, "logits.npz")
    assert spaces[0] == "bags"
    assert all(text.startswith("bags+") for text in spaces[1:])
    assert default_spaces.of_detector(columns, None, "logits.npz") == ("bags",)
    file = opened(9, head="bags", background="none")  # slices of 2, 2, 2, 2 and 1
    assert len(scores_of(file, spaces, COUNTS)) > len(spaces)


@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("counts", [None, COUNTS])
def test_every_method_fits_a_classifier(tmp_path: Path, features: bool, counts: FrequencyTable | None) -> None:
    path = tmp_path / "logits.npz"
    file = opened(3, path, head="softmax", background="none", features=features)
    spaces = default_spaces.of_classifier(counts, default_spaces.as_source(path), has_features=features)
    assert all(parse_space(text).temperature_fitted for text in spaces)
    assert any("tau-norm" in text for text in spaces) == features
    assert any("logit-adjust" in text for text in spaces) == (counts is not None)
    options = InputOptions("softmax", "none", COUNTS.category_id)
    assert changes(scores_of(file, spaces, counts, options), file)


@pytest.mark.parametrize("space", ["prob", "logit"])
def test_every_method_fits_a_result_file(space: Any) -> None:
    number = 9
    score = RNG.random(number)
    ids = COUNTS.category_id[np.arange(number) % 3]
    results = Results(np.arange(number), ids, score, None, None, "p.json")
    adjustable = AdjustableResults(results, COUNTS, space, lambda: pytest.fail("no default depends on the areas"))
    texts = default_spaces.of_results()
    for text in texts:
        for point in parse_space(text).coarse():
            adjusted = adjustable.adjusted(parse_space(text).method(point)).results.score
            assert np.isfinite(adjusted).all()
            assert not np.array_equal(adjusted, adjustable.adjusted(parse_method("none")).results.score)


def test_label_free_methods_need_a_path_that_a_spec_can_hold() -> None:
    assert default_spaces.as_source(Path("a/logits.npz")) == "a/logits.npz"
    for source in ({"logits": None}, Path("a+b.npz"), Path("a,b.npz"), Path("a|b.npz")):
        assert default_spaces.as_source(source) is None
    columns = opened(4, head="softmax", background="last").columns
    spaces = (*default_spaces.of_detector(columns, COUNTS, None),
              *default_spaces.of_classifier(COUNTS, None, has_features=True))  # fmt: skip
    assert not any("prior2posterior" in text or "logn" in text for text in spaces)


def test_no_space_is_named_twice() -> None:
    columns = opened(4, head="softmax", background="last").columns
    every = [
        default_spaces.of_results(),
        default_spaces.of_detector(columns, WITH_DIMENSIONS, "logits.npz"),
        default_spaces.of_classifier(COUNTS, "logits.npz", has_features=True),
    ]
    for spaces in every:
        assert len(set(spaces)) == len(spaces)
        assert len({spec for text in spaces for spec in map(str, parse_space(text).coarse())}) > len(spaces)
