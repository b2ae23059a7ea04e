"""The fork server needs /proc, process descriptors and limits as Linux has them."""

import sys

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
