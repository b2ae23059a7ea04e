"""COCO and LVIS annotation files."""
