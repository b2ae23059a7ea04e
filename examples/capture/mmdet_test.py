"""Logits of an MMDetection 3 two-stage detector while its own test loop runs as usual.

python mmdet_test.py CONFIG.py CHECKPOINT OUT

Features are saved too, for `ltcal fit`; not the weight of the classifier, as the runner loads it when the test begins.
"""

from __future__ import annotations

import sys
from pathlib import Path

from longtail_cli.capture import capture_bbox_head
from longtail_cli.files.logits.writer import LogitsWriter


def main(config: str, checkpoint: str, out: str) -> None:
    from mmengine.config import Config
    from mmengine.runner import Runner

    cfg = Config.fromfile(config)
    cfg.load_from, cfg.work_dir = checkpoint, f"{out}-work"
    runner = Runner.from_cfg(cfg)
    head = runner.model.eval().roi_head.bbox_head
    last = head[-1] if hasattr(head, "__getitem__") else head  # a cascade has several
    ids = runner.test_dataloader.dataset.cat_ids
    with (
        LogitsWriter(Path(out), head="softmax", background="last", category_ids=ids) as writer,
        capture_bbox_head(last, writer, features=True),
    ):
        runner.test()


if __name__ == "__main__":
    main(*sys.argv[1:])
