"""Accounts, their tokens, and who may do what."""

from __future__ import annotations

from migrations_app.resources.shapes import items, section
from migrations_app.resources.subjects import lies_within
from migrations_app.resources.transform.options import Object, Options, was_transformed

TOKEN_CONTENT = ("token", "ca.crt", "namespace", "service-ca.crt")


def service_account(obj: Object, options: Options, source: Object) -> None:
    """Generated token and registry Secrets are the destination's own business."""
    name = section(obj, "metadata").get("name")
    generated = (f"{name}-token-", f"{name}-dockercfg-")
    for key in ("secrets", "imagePullSecrets"):
        kept = [each for each in items(obj, key) if not str(each.get("name", "")).startswith(generated)]
        if kept:
            obj[key] = kept
        else:
            obj.pop(key, None)


def token(obj: Object, options: Options, source: Object) -> None:
    """A token of the source is void there; its Secret is filled anew for that account (Stork's defect 4)."""
    if obj.get("type") != "kubernetes.io/service-account-token":
        return
    data = {key: value for key, value in section(obj, "data").items() if key not in TOKEN_CONTENT}
    if data:
        obj["data"] = data
    else:
        obj.pop("data", None)


def subjects(obj: Object, options: Options, source: Object) -> None:
    """Whoever is not migrated gets nothing on the destination, where the same name may be somebody else (Stork)."""
    if options.spec.namespaces and not was_transformed(source, options):
        obj["subjects"] = [each for each in items(obj, "subjects") if lies_within(each, options.spec.namespaces)]


def aggregated(obj: Object, options: Options, source: Object) -> None:
    """The rules of an aggregated ClusterRole are put together there, of those that go along and the cluster's own."""
    if section(obj, "aggregationRule"):
        obj.pop("rules", None)
