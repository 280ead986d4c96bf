"""Clean: remove everything of one volume from the object store."""

from __future__ import annotations

import itertools
import time
from typing import Any

from mover.objectstore import ObjectStore
from mover.report import Reporter


def clean(store: ObjectStore, reporter: Reporter) -> dict[str, Any]:
    """The fields of the result line; `files` is the number of objects removed."""
    began = time.monotonic()
    removed = 0
    aborted = store.abort_uploads()
    names = store.list()
    while some := list(itertools.islice(names, 1000)):
        store.delete(some)
        removed += len(some)
        reporter.counters.add(files_done=len(some))
    return {
        "digest": None,
        "bytes": 0,
        "files": removed,
        "bytes_sent": 0,
        "seconds": round(time.monotonic() - began, 3),
        "unkept": [],
        "aborted_uploads": aborted,
    }
