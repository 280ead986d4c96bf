"""Secrets at rest: a text field that is encrypted with MultiFernet, and the ciphers behind it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "KUBEMOTION_ENCRYPTION_KEYS must hold Fernet keys (32 bytes, URL-safe base64)"
        ) from error


def cipher() -> MultiFernet:
    """Encrypts with the first of the configured keys, decrypts with any."""
    return _cipher(tuple(settings.ENCRYPTION_KEYS))


class UndecryptableError(RuntimeError):
    """A stored secret cannot be decrypted with any of the configured keys."""


class EncryptedTextField(models.TextField):
    """Text that is encrypted in the database and plain on the instance. It cannot be searched or serialized."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value if not value else cipher().encrypt(value.encode()).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        try:
            return cipher().decrypt(value.encode()).decode()
        except InvalidToken:
            raise UndecryptableError(
                f"{self.model._meta.label}.{self.name} was encrypted with a key that KUBEMOTION_ENCRYPTION_KEYS lacks"
            ) from None

    def value_to_string(self, obj: Any) -> str:
        return ""
