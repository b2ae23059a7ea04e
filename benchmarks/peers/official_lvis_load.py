"""Load annotations and count images and instances with the official package: python official_lvis_load.py GT."""

import sys
from collections import Counter

from lvis import LVIS

truth = LVIS(sys.argv[1])
images = {category: len(set(images)) for category, images in truth.cat_img_map.items()}
instances = Counter(annotation["category_id"] for annotation in truth.dataset["annotations"])
print(len(images), sum(images.values()), sum(instances.values()))
