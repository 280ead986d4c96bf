"""Bearer tokens for the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from teams.models import ApiToken

# How exact "last used" is; a write per request would be dear.
LAST_USED_EVERY = timedelta(minutes=1)


class ApiTokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer kmw_…`; tokens are made on the account page."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword.lower().encode():
            return None
        if len(parts) != 2:
            raise AuthenticationFailed(_("The Authorization header must read: Bearer TOKEN."))
        token = (
            ApiToken.objects.select_related("user")
            .filter(digest=ApiToken.digest_of(parts[1].decode("latin-1")))
            .first()
        )
        if token is None or not token.user.is_active:
            raise AuthenticationFailed(_("This API token is not known. Make one on the account page."))
        if token.is_expired():
            raise AuthenticationFailed(_("This API token has expired. Make a new one on the account page."))
        now = timezone.now()
        if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return self.keyword
