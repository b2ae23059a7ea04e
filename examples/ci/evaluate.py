"""A stand-in for your model: its detections are those of detections.json, which lies beside it."""

import argparse
import shutil
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--annotations", type=Path, required=True, help="The images to evaluate; not read here.")
parser.add_argument("--output", type=Path, required=True, help="The detections, as JSON in COCO's format of results.")
arguments = parser.parse_args()
shutil.copy(Path(__file__).with_name("detections.json"), arguments.output)
