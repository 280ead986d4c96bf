"""Extracts texts for translation as Django does, and those of the parts that know no Django (`clusters.texts`)."""

from __future__ import annotations

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=said",
        "--keyword=N_",
        "--keyword=counted:2,3",
    ]
