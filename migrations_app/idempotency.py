"""The key that makes it safe to send a request again when its answer got lost."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from teams.refusals import Refusal

MOST_CHARACTERS = 100
PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key with the same body makes one, however often it is sent.",
)


def key_of(request: Request) -> str | None:
    """The request's Idempotency-Key, or None. Raises Refusal for one that is too long."""
    key = request.headers.get("Idempotency-Key", "").strip() or None
    if key is not None and len(key) > MOST_CHARACTERS:
        raise Refusal(_("The Idempotency-Key is longer than %(most)s characters.") % {"most": MOST_CHARACTERS})
    return key
