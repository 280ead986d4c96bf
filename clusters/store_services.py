"""What adds, changes, checks and removes object stores. Pages and API call these; the rules are in `saving`."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters import foreign_stores, object_storage, temporary_keys
from clusters.addresses import AddressRefusedError, require_allowed
from clusters.models import ClusterPair, ObjectStore, Provider
from clusters.saving import keep, remove_unused, saving, usable_name
from teams.models import Team
from teams.refusals import Refusal

BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ADDRESS = re.compile(r"https?://[^/@]+$")
ROLE = re.compile(r"arn:[\w-]+:[\w-]+:[\w-]*:\w*:\S+")


def add(
    team: Team,
    *,
    name: str,
    bucket: str,
    secret_access_key: str,
    access_key_id: str = "",
    provider: str = Provider.S3,
    account: str = "",
    endpoint: str = "",
    region: str = "us-east-1",
    prefix: str = "kubemotion",
    path_style: bool = True,
    ca_bundle: str = "",
    sts_role_arn: str = "",
    sts_endpoint: str = "",
    by: Actor,
) -> ObjectStore:
    """A new object store, checked. Raises Refusal for values that cannot be, Conflict for a taken name."""
    store = ObjectStore(team=team, created_by=by.user)
    store.name = usable_name(ObjectStore, team, name)
    given = {
        "provider": provider,
        "account": account,
        "bucket": bucket,
        "endpoint": endpoint,
        "region": region,
        "prefix": prefix,
        "path_style": path_style,
        "ca_bundle": ca_bundle,
        "sts_role_arn": sts_role_arn,
        "sts_endpoint": sts_endpoint,
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
    }
    _fill(store, given)
    with saving(store):
        store.save()
        record(by, "object_store.add", store, after=store.to_audit())
    return look_at(store)


def update(store: ObjectStore, *, by: Actor, **changed: Any) -> ObjectStore:
    """Change what is given (an empty secret keeps the old one), and check anew. Raises as add."""
    before = store.to_audit()
    secrets = ("access_key_id", "secret_access_key")
    given = {key: value for key, value in changed.items() if not (key in secrets and not value)}
    if "name" in given:
        store.name = usable_name(ObjectStore, store.team, given.pop("name"), but=store)
    if given.get("provider", store.provider) != store.provider:
        message = _("An object store stays with its provider. Add another one.")
        raise Refusal(message, errors={"provider": [message]})
    _fill(store, given)
    with saving(store):
        store.save(update_fields=["name", *given])
        after = store.to_audit() | {key: "replaced" for key in (*secrets, "ca_bundle") if key in given}
        record(by, "object_store.change", store, before=before, after=after)
    return look_at(store) if given else store


def check(store: ObjectStore, *, by: Actor) -> ObjectStore:
    """Try anew all that a migration does with the store."""
    before = store.health
    look_at(store)
    record(by, "object_store.check", store, before={"health": before}, after={"health": store.health})
    return store


def remove(store: ObjectStore, *, by: Actor) -> None:
    """Forget the store; its objects stay. Raises Conflict while a pair uses it."""
    remove_unused(store, "object_store.remove", ClusterPair.objects.filter(object_store=store), by)


def look_at(store: ObjectStore) -> ObjectStore:
    if not store.is_s3:
        return keep(store, [foreign_stores.check(store)])
    found = object_storage.check_object_store(store)
    if all(each.status in ("ok", "warning") for each in found):
        found.append(temporary_keys.check(store))
        store.has_session_policies = found[-1].status == "ok"
    return keep(store, found, "has_session_policies")


def _fill(store: ObjectStore, given: dict[str, Any]) -> None:
    """Set the fields, tidied. Raises Refusal that names each field that cannot be."""
    for field, value in given.items():
        setattr(store, field, value.strip() if isinstance(value, str) else value)
    if store.provider not in Provider.values:
        wrong: dict[str, list[Any]] = {"provider": [_("There is no such provider.")]}
    else:
        wrong = _wrong_s3(store) if store.is_s3 else foreign_stores.wrong(store)
    if wrong:
        raise Refusal(_("The object store cannot be as given."), errors=wrong)


def _wrong_s3(store: ObjectStore) -> dict[str, list[Any]]:
    wrong: dict[str, list[Any]] = {}
    store.endpoint = store.endpoint.rstrip("/")
    store.prefix = store.prefix.strip("/")
    if store.endpoint:
        if not ADDRESS.match(store.endpoint):
            wrong["endpoint"] = [_("Give the address alone, such as https://s3.example.com, without path or bucket.")]
        else:
            try:
                require_allowed(store.endpoint)
            except AddressRefusedError as error:
                wrong["endpoint"] = [str(error)]
    store.sts_endpoint = store.sts_endpoint.rstrip("/")
    if store.sts_endpoint:
        try:
            if not ADDRESS.match(store.sts_endpoint):
                raise AddressRefusedError(_("Give the address alone, such as https://sts.example.com, without path."))
            require_allowed(store.sts_endpoint)
        except AddressRefusedError as error:
            wrong["sts_endpoint"] = [str(error)]
    if store.sts_role_arn and not ROLE.fullmatch(store.sts_role_arn):
        wrong["sts_role_arn"] = [_("A role's ARN looks like arn:aws:iam::123456789012:role/movers.")]
    if not BUCKET.fullmatch(store.bucket):
        wrong["bucket"] = [_("A bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots.")]
    if store.ca_bundle:
        try:
            object_storage.require_certificates(store.ca_bundle)
        except object_storage.CaBundleError as error:
            wrong["ca_bundle"] = [str(error)]
    for field in ("region", "access_key_id", "secret_access_key"):
        if not getattr(store, field):
            wrong[field] = [_("This is needed.")]
    if store.account:
        wrong["account"] = [_("Only stores of Azure and Google have an account.")]
    return wrong
