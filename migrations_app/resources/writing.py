"""The few ways in which objects are written: created, changed, given up again, put back as they were, removed."""

from __future__ import annotations

from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Invalid
from clusters.kube.objects import Applied

Object = dict[str, Any]
# Lists with two items of the same key (an environment variable that is set twice, say) are stored when they come by
# POST, which does not look, but cannot be applied: sigs.k8s.io/structured-merge-diff/typed.
DUPLICATES = "duplicate entries for key"


def create(connection: Connection, obj: Object, *, dry_run: bool = False) -> Applied:
    """Make the object by server-side apply, so that its fields are ours. `created` tells whether it was not there.

    A dry run tells the whole object that would come of it; otherwise no more than its metadata is sure to be told.

    What cannot be applied, though the source's server took it, is created by POST. Raises KubeError.
    """
    try:
        return connection.apply_told(obj, dry_run=dry_run, whole=dry_run)
    except Invalid as error:
        if DUPLICATES not in error.message:
            raise
    return Applied(connection.create(connection.resource_of(obj), obj, dry_run=dry_run), True)


def release(connection: Connection, obj: Object, uid: str) -> None:
    """Give up what we hold of an object that is not ours: fields that nobody else holds go. Raises KubeError."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in ("name", "namespace")}
    given_up = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {**metadata, "uid": uid}}
    connection.apply_told(given_up, whole=False)
