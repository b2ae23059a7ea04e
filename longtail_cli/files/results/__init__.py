"""Detection result files: COCO and LVIS lists in JSON, and the same as Parquet."""
