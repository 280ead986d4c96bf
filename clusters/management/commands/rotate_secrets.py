"""`manage.py rotate_secrets`: encrypt every stored secret with the first of the configured keys."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from clusters.encryption import EncryptedTextField, UndecryptableError


class Command(BaseCommand):
    """Run it after a new key was put before the old one; then the old one can go."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        lost: list[str] = []
        for model in apps.get_models():
            fields = [field.name for field in model._meta.fields if isinstance(field, EncryptedTextField)]
            if fields:
                self.stdout.write(f"{model._meta.label}: {self._rotate(model, fields, lost)}")
        if lost:
            raise CommandError(
                "All others are done, but these cannot be decrypted. Put the key that they were encrypted with back at "
                "the end of the list and run this again, or enter them anew:\n" + "\n".join(lost)
            )

    def _rotate(self, model: type[models.Model], fields: list[str], lost: list[str]) -> int:
        """How many rows were written anew. What cannot be decrypted is added to `lost`."""
        count = 0
        rows = model._default_manager.all()
        for pk in list(rows.order_by("pk").values_list("pk", flat=True)):
            # One short transaction per row: a change that somebody makes meanwhile is not overwritten.
            with transaction.atomic():
                try:
                    row = rows.select_for_update().only("pk", *fields).filter(pk=pk).first()
                except UndecryptableError as error:
                    lost.append(f"{pk}: {error}")
                    continue
                if row is not None:
                    row.save(update_fields=fields)
                    count += 1
        return count
