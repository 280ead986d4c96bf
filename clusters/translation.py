"""Texts of the parts that know no Django: kept in the database, and said in the reader's language."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.utils.translation import gettext, ngettext

from clusters.texts import Text, rendered, restored, stored


def translated(value: Any) -> Any:
    """The value with every Text in it in the active language; what is none stays as it is."""
    match value:
        case Text():
            return rendered(value, gettext, ngettext)
        case dict():
            return {key: translated(each) for key, each in value.items()}
        case list() | tuple():
            return [translated(each) for each in value]
    return value


# Between the two parts of a column: no sentence holds it.
MADE_OF = "\x1e"


class SentenceField(models.TextField):
    """A Text in a column of text: the English, which can be searched, and after it how the Text was made.

    A sentence without values is its own template, and stored as any other text; so are those of former releases.
    """

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Text) and value.values:
            return f"{value}{MADE_OF}{json.dumps(stored(value), ensure_ascii=False)}"
        return super().get_prep_value(value)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        if not value:
            return value
        english, _mark, made_of = value.partition(MADE_OF)
        return restored(json.loads(made_of)) if made_of else Text(english)


class TextsField(models.JSONField):
    """JSON whose Texts stay Texts: English for whoever asks for no other language."""

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        # To the schema it is JSON; how Texts are spelt in it is for this module to know.
        return name, "django.db.models.JSONField", args, kwargs

    def get_prep_value(self, value: Any) -> Any:
        return stored(super().get_prep_value(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return restored(super().from_db_value(value, expression, connection))
