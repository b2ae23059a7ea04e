"""Files of shared stores (``s3://``, ``gs://``), through fsspec, and of this machine in the same words.

`StoredFile` is a file as it was listed; `staged`, `opened` and `download` read it, if it is still the same. `uploaded`
and `published` write objects, all or none. `mirror` is for what takes paths alone.
"""

from longtail_cli.files.stores.objects import StoredFile, download, found, listed, opened, staged
from longtail_cli.files.stores.uploads import check_buckets, published, uploaded

__all__ = [
    "StoredFile",
    "check_buckets",
    "download",
    "found",
    "listed",
    "opened",
    "published",
    "staged",
    "uploaded",
]
