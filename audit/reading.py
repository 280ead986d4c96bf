"""Who may read which entries: the rule itself lies above this application, `settings.AUDIT_READABLE_TEAMS` names it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from audit.models import Entry


def readable(user: Any) -> QuerySet[Entry]:
    """The entries of the user's teams and the user's own; all of them for platform staff."""
    team_ids = import_string(settings.AUDIT_READABLE_TEAMS)(user)
    entries = Entry.objects.all()
    if team_ids is None:
        return entries
    return entries.filter(team_id__in=team_ids) | entries.filter(team_id=None, actor=user)
