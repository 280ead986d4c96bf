"""What every page's frame needs to know about the viewer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from teams import access


def access_for(request: HttpRequest) -> dict[str, Any]:
    """`my_teams`, `may_operate` and `may_administer` (somewhere), evaluated only where a template asks."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {
        "my_teams": access.teams_for(user),
        "may_operate": access.teams_for(user, access.Action.OPERATE).exists,
        "may_administer": access.teams_for(user, access.Action.ADMINISTER).exists,
    }
