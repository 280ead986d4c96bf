"""Who may do what. Pages, API and WebSockets all ask here, and nowhere else.

Two questions, two answers: what somebody may not *see* does not exist for them (404); what they may see but not *do*
is refused (403). Platform staff (`is_staff`) see and do everything in every team; everybody else has one role per team.

    viewer     sees all that the team owns
    operator   also starts, cancels and removes migrations, and runs checks
    admin      also adds, changes and removes clusters, object stores and pairs, and manages members
"""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from teams.models import Membership, Role, Team


class Action(StrEnum):
    """What somebody wants to do with something that a team owns."""

    VIEW = "view"
    OPERATE = "operate"
    ADMINISTER = "administer"


ROLES_FOR: dict[Action, frozenset[str]] = {
    Action.VIEW: frozenset({Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    Action.OPERATE: frozenset({Role.OPERATOR, Role.ADMIN}),
    Action.ADMINISTER: frozenset({Role.ADMIN}),
}


def is_platform_staff(user: Any) -> bool:
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def teams_for(user: Any, action: Action = Action.VIEW) -> QuerySet[Team]:
    """The teams in which `user` may do `action`."""
    if not user.is_authenticated or not user.is_active:
        return Team.objects.none()
    if is_platform_staff(user):
        return Team.objects.all()
    return Team.objects.filter(pk__in=Membership.objects.filter(user=user, role__in=ROLES_FOR[action]).values("team"))


def may(user: Any, action: Action, team: Team) -> bool:
    """Whether `user` may do `action` with what `team` owns."""
    return teams_for(user, action).filter(pk=team.pk).exists()


def visible[M: Model](queryset: QuerySet[M], user: Any) -> QuerySet[M]:
    """The part of a team-owned queryset that `user` may see. Every list begins with it."""
    return queryset.filter(team__in=teams_for(user))


def require(user: Any, action: Action, team: Team) -> None:
    """Raise Http404 where `user` may not even see `team`, PermissionDenied where they may see but not do `action`."""
    if not may(user, Action.VIEW, team):
        raise Http404
    if not may(user, action, team):
        raise PermissionDenied(
            _("Your role in team %(team)s does not allow this. Ask one of its admins.") % {"team": team.name}
        )


def require_somewhere(user: Any, action: Action) -> None:
    """Raise PermissionDenied where there is no team in which `user` may do `action`: for pages that choose a team."""
    if not teams_for(user, action).exists():
        raise PermissionDenied(_("There is no team in which your role allows this. Ask an admin of your team."))


def get[M: Model](queryset: QuerySet[M], user: Any, pk: uuid.UUID | str, action: Action = Action.VIEW) -> M:
    """The one object, for `user` and `action`. Every detail view begins with it. Raises as `require` does."""
    found = get_object_or_404(visible(queryset, user), pk=pk)
    if action is not Action.VIEW:
        require(user, action, found.team)  # type: ignore[attr-defined]
    return found


def readable_team_ids(user: Any) -> list[uuid.UUID] | None:
    """The ids of the teams whose history `user` may read; None means all, entries without a team included."""
    if is_platform_staff(user):
        return None
    return list(teams_for(user).values_list("pk", flat=True))
