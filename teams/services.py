"""What changes teams, members and tokens. Pages and API call these; each writes into the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from teams.models import ApiToken, Membership, Role, Team
from teams.refusals import Conflict, Refusal


def add_team(*, name: str, by: Actor) -> Team:
    """A new team without members. Raises Refusal where the name is empty or taken."""
    name = _usable_team_name(name)
    with transaction.atomic():
        team = Team.objects.create(name=name)
        record(by, "team.add", team, team=team, after=team.to_audit())
    return team


def rename_team(team: Team, *, name: str, by: Actor) -> Team:
    """Give the team another name. Raises Refusal where it is empty or taken."""
    before = team.to_audit()
    team.name = _usable_team_name(name, but=team)
    with transaction.atomic():
        team.save(update_fields=["name"])
        record(by, "team.rename", team, team=team, before=before, after=team.to_audit())
    return team


def _usable_team_name(name: str, *, but: Team | None = None) -> str:
    name = name.strip()
    if not name:
        raise Refusal(_("A team needs a name."), errors={"name": [_("A team needs a name.")]})
    taken = Team.objects.filter(name__iexact=name)
    if (taken if but is None else taken.exclude(pk=but.pk)).exists():
        message = _("There is already a team named %(name)s.") % {"name": name}
        raise Conflict(message, errors={"name": [message]})
    return name


def set_member(team: Team, *, username: str, role: str, by: Actor) -> Membership:
    """Make the person a member with `role`, or change their role. Raises Refusal and Conflict."""
    if role not in Role.values:
        raise Refusal(_("There is no such role."), errors={"role": [_("There is no such role.")]})
    user = get_user_model().objects.filter(username=username.strip(), is_active=True).first()
    if user is None:
        message = _("Nobody signs in as %(username)s. Platform staff can add people in the administration.") % {
            "username": username.strip()
        }
        raise Refusal(message, errors={"username": [message]})
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=team.pk)
        membership = Membership.objects.filter(team=team, user=user).first()
        before = membership.to_audit() if membership else None
        if membership is not None and role != Role.ADMIN:
            _keep_an_admin(membership)
        membership, _made = Membership.objects.update_or_create(team=team, user=user, defaults={"role": role})
        record(
            by,
            "member.add" if before is None else "member.change",
            membership,
            before=before,
            after=membership.to_audit(),
        )
    return membership


def remove_member(membership: Membership, *, by: Actor) -> None:
    """Take the person out of the team. Raises Conflict for the last admin."""
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=membership.team_id)
        _keep_an_admin(membership)
        record(by, "member.remove", membership, before=membership.to_audit())
        membership.delete()


def _keep_an_admin(membership: Membership) -> None:
    if membership.role != Role.ADMIN:
        return
    others = Membership.objects.filter(team=membership.team_id, role=Role.ADMIN).exclude(pk=membership.pk)
    if not others.exists():
        raise Conflict(
            _("%(user)s is the last admin of team %(team)s. Make somebody else admin first.")
            % {"user": membership.user.get_username(), "team": membership.team.name}
        )


def issue_token(user: Any, *, name: str, days: int | None = None, by: Actor) -> tuple[ApiToken, str]:
    """A new API token of `user` and its text, which cannot be had again. `days` is its life; None has no end."""
    name = name.strip()
    if not name:
        message = _("A token needs a name that says what uses it.")
        raise Refusal(message, errors={"name": [message]})
    if days is not None and days < 1:
        message = _("A token has to last at least one day.")
        raise Refusal(message, errors={"days": [message]})
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    with transaction.atomic():
        token, text = ApiToken.issue(user, name, expires_at=expires_at)
        record(by, "token.issue", token, after=token.to_audit())
    return token, text


def revoke_token(token: ApiToken, *, by: Actor) -> None:
    """Make the token worthless at once."""
    with transaction.atomic():
        record(by, "token.revoke", token, before=token.to_audit())
        token.delete()


def password_changed(user: Any, *, by: Actor) -> None:
    """Write down that the person changed their password (the form has already set it)."""
    record(by, "password.change", user)
