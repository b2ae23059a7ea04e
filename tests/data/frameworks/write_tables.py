"""Write the tables beside this script: detections under the column names that people use.

    PYTHONPATH=tests python tests/data/frameworks/write_tables.py

Written with pandas 3.1.1 and pyarrow 26.0.1. `open_images.csv` has the columns and the order of the predictions for the
Open Images challenge (https://storage.googleapis.com/openimages/web/evaluation.html).
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from framework_scenes import FILES, Scenes

LINES = 280
"""Detections in files of JSON Lines, which take the most room."""


def ids(detections: list[dict[str, Any]]) -> pd.DataFrame:
    """The columns of COCO results, with a list as each box."""
    return pd.DataFrame(detections)


def sides(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Four columns instead of the one of lists."""
    return frame.drop(columns="bbox").join(pd.DataFrame(frame.bbox.tolist(), columns=names, dtype=np.float64))


def corners(scenes: Scenes) -> pd.DataFrame:
    """File names, names of classes, and the corners of the boxes."""
    files = {one["id"]: one["file_name"] for one in scenes.annotations["images"]}
    classes = {one["id"]: one["name"] for one in scenes.annotations["categories"]}
    frame = sides(ids(scenes.detections), ["x", "y", "w", "h"])
    return pd.DataFrame(
        {
            "filename": frame.image_id.map(files),
            "class_name": frame.category_id.map(classes),
            "confidence": frame.score,
            "xmin": frame.x,
            "ymin": frame.y,
            "xmax": frame.x + frame.w,
            "ymax": frame.y + frame.h,
        }
    )


def open_images(scenes: Scenes) -> pd.DataFrame:
    """Stems of file names, and corners in shares of the image's size."""
    frame = corners(scenes)
    width, height = (
        frame.filename.map({one["file_name"]: one[side] for one in scenes.annotations["images"]})
        for side in ("width", "height")
    )
    return pd.DataFrame(
        {
            "ImageID": frame.filename.str.removeprefix("val/").str.removesuffix(".png"),
            "LabelName": frame.class_name,
            "Conf": frame.confidence,
            "XMin": frame.xmin / width,
            "XMax": frame.xmax / width,
            "YMin": frame.ymin / height,
            "YMax": frame.ymax / height,
        }
    )


def main() -> None:
    plain, named = Scenes(), Scenes(named=True)
    detections = ids(plain.detections)
    detections.to_csv(FILES / "pandas.csv")  # with the index as a first column without a name
    sides(detections, ["left", "top", "width", "height"]).to_csv(FILES / "sides.tsv", sep="\t", index=False)
    corners(named).to_csv(FILES / "corners.csv", index=False)
    open_images(named).to_csv(FILES / "open_images.csv", index=False)
    corners(named)[:LINES].to_json(FILES / "corners.jsonl", orient="records", lines=True, double_precision=15)
    with (FILES / "masks.jsonl").open("w") as file:
        file.writelines(json.dumps(one) + "\n" for one in plain.masked()[:LINES])
    categorical = corners(named).astype({"filename": "category", "class_name": "category"})
    categorical.to_parquet(FILES / "corners.parquet")
    categorical.to_feather(FILES / "corners.feather")
    table = pa.Table.from_pandas(sides(detections, ["x", "y", "w", "h"]).rename(columns={"image_id": "image"}))
    with pa.OSFile(str(FILES / "stream.arrow"), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=100)


if __name__ == "__main__":
    main()
