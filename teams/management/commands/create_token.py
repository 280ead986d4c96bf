"""`manage.py create_token USER NAME`: a new API token, printed once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.actor import SYSTEM
from teams import services
from teams.refusals import Refusal


class Command(BaseCommand):
    """Prints nothing but the token, so that scripts can read it."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="who signs in with it")
        parser.add_argument("name", help="what uses it")
        parser.add_argument("--days", type=int, default=None, help="how long it lasts; no end if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {options['user']}.")
        try:
            _token, text = services.issue_token(user, name=options["name"], days=options["days"], by=SYSTEM)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(text)
