"""Logits of a detectron2 R-CNN while detectron2 evaluates it as usual.

    python detectron2_lvis.py CONFIG.yaml WEIGHTS OUT [DATASET]

Images come from detectron2's own catalogue; DETECTRON2_DATASETS says where they are. Features and the weight of the
classifier are saved too, for `ltcal fit`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from longtail_cli.capture import capture_fast_rcnn
from longtail_cli.files.logits.writer import LogitsWriter


def main(config: str, weights: str, out: str, dataset: str = "lvis_v1_val") -> None:
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.config import get_cfg
    from detectron2.data import MetadataCatalog, build_detection_test_loader
    from detectron2.evaluation import LVISEvaluator, inference_on_dataset
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(config)
    model = build_model(cfg).eval()
    DetectionCheckpointer(model).load(weights)
    loader = build_detection_test_loader(cfg, dataset)
    ids = range(1, len(MetadataCatalog.get(dataset).thing_classes) + 1)  # for LVIS its labels are the ids minus one
    weight = model.roi_heads.box_predictor.cls_score.weight
    with (
        LogitsWriter(Path(out), head="softmax", background="last", category_ids=ids, weight=weight) as writer,
        capture_fast_rcnn(model, writer, features=True),
    ):
        inference_on_dataset(model, loader, LVISEvaluator(dataset, output_dir=f"{out}-evaluation"))


if __name__ == "__main__":
    main(*sys.argv[1:])
