"""Object stores that only Portworx uses: Azure Blob Storage and Google Cloud Storage.

This server speaks S3 alone, so it cannot try their keys: `pxctl credentials validate` does, when a pair is set up or
validated, and its words are shown there.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.translation import gettext as _

from clusters.kube.checks import Check
from clusters.models import ObjectStore, Provider
from clusters.texts import said

# https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
AZURE_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
# https://cloud.google.com/storage/docs/buckets#naming
GOOGLE_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
GOOGLE_PROJECT = re.compile(r"[a-z0-9][a-z0-9:.-]{2,61}[a-z0-9]")
S3_ONLY = ("endpoint", "ca_bundle", "sts_role_arn", "sts_endpoint", "access_key_id")


def wrong(store: ObjectStore) -> dict[str, list[Any]]:
    """What cannot be about the store, by field. What is wrong with a key is said without repeating it."""
    found: dict[str, list[Any]] = {
        field: [_("Only S3 stores have this.")] for field in S3_ONLY if getattr(store, field)
    }
    key = store.secret_access_key
    if store.provider == Provider.AZURE:
        if not CONTAINER.fullmatch(store.bucket):
            found["bucket"] = [_("A container's name has 3 to 63 lower-case letters, digits and single hyphens.")]
        if not AZURE_ACCOUNT.fullmatch(store.account):
            found["account"] = [_("A storage account's name has 3 to 24 lower-case letters and digits.")]
        if not key or any(each.isspace() for each in key):
            found["secret_access_key"] = [_("An account key is one line, as the portal of Azure shows it.")]
    else:
        if not GOOGLE_BUCKET.fullmatch(store.bucket):
            found["bucket"] = [_("A bucket's name has 3 to 222 lower-case letters, digits, dots, hyphens and “_”.")]
        if not GOOGLE_PROJECT.fullmatch(store.account):
            found["account"] = [_("A project's id has lower-case letters, digits and hyphens.")]
        if not private_key(key):
            found["secret_access_key"] = [_("This is not the JSON key of a service account, with its private_key.")]
    return found


def private_key(text: str) -> str:
    """The private key inside the JSON key of a Google service account; empty where it is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(document, dict) or not document.get("client_email"):
        return ""
    return str(document.get("private_key") or "")


def check(store: ObjectStore) -> Check:
    """What can be said of it here: nothing was tried."""
    named = {"name": store.get_provider_display()}
    message = said(
        "Not tried from here: this server speaks S3 only. Portworx tries the keys of {name} itself.", **named
    )
    return Check(
        "credentials", "skipped", message, said("Set a pair over it up, or validate one: its steps say how it is.")
    )
