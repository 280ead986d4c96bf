"""Sentences that can be said in another language later on, by parts that know nothing of languages.

    said("The {side} has no namespace {name}.", side=side, name=name)
    counted(len(pods), "{n} pod of {names} waits.", "{n} pods of {names} wait.", names=listed(names))

What comes of it is the English sentence as any other text, which also remembers how it was made. Where it is shown,
`rendered` makes it anew from the translation of its template, and so of every sentence among its values. `stored` and
`restored` carry it through JSON. The templates are found by whoever extracts texts for translation, so they stand there
as literals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

SHOWN = 5
Gettext = Callable[[str], str]
Ngettext = Callable[[str, str, int], str]


class Text(str):
    """A sentence or a part of one: English, and how it was made.

    `values` fill the places of the template: other Texts, names, numbers, or a tuple of such, which is listed; without
    any it is taken as it is. With a `plural` the value `n` decides between the two.
    """

    __slots__ = ("plural", "template", "values")
    template: str
    plural: str
    values: dict[str, Any]

    def __new__(cls, template: str = "", plural: str = "", /, **values: object) -> Text:
        kept = {name: _kept(value) for name, value in values.items()}
        made = super().__new__(cls, _filled(template, plural, kept, str, _english))
        made.template, made.plural, made.values = template, plural, kept
        return made

    def with_names(self, change: Callable[[str], str]) -> Text:
        """The same sentence with other names in it: each that is no Text is changed."""
        return Text(self.template, self.plural, **{name: _changed(each, change) for name, each in self.values.items()})

    def __reduce__(self) -> Any:
        return _made, (self.template, self.plural, self.values)


def said(template: str, /, **values: object) -> Text:
    """The sentence; the template is what is translated."""
    return Text(template, **values)


def counted(n: int, singular: str, plural: str, /, **values: object) -> Text:
    """The sentence for so many, which both forms may name as `{n}`."""
    return Text(singular, plural, n=n, **values)


def N_(template: str) -> str:
    """The template, marked for translation where it stands apart from the `said` that fills it."""
    return template


def as_it_is(words: object) -> Text:
    """What others said, or a name: no language changes it. A Text stays what it is."""
    return words if isinstance(words, Text) else Text("{words}", words=words)


def sentences(*parts: Text | str) -> Text:
    """One after the other; empty ones are left out."""
    every = [part for part in parts if part]
    if len(every) < 2:
        return next(map(as_it_is, every), NOTHING)
    return said("{first} {following}", first=every[0], following=sentences(*every[1:]))


def listed(names: Iterable[object], shown: int = SHOWN) -> Text:
    """The first names, and how many more there are."""
    every = tuple(names)
    if len(every) > shown:
        return said("{names} and {more} more", names=every[:shown], more=len(every) - shown)
    return Text("{names}", names=every) if every else NOTHING


def either(names: Iterable[object]) -> Text:
    """All of the names, of which one will do."""
    *others, last = names
    return said("{names} or {last}", names=others, last=last) if others else as_it_is(last)


def both(names: Iterable[object]) -> Text:
    """All of the names together."""
    *others, last = names
    return said("{names} and {last}", names=others, last=last) if others else as_it_is(last)


def rendered(text: str, gettext: Gettext, ngettext: Ngettext) -> str:
    """The text in the language of these functions; a text that is no Text as it is."""
    if not isinstance(text, Text):
        return text
    return _filled(text.template, text.plural, text.values, gettext, ngettext)


def stored(value: Any) -> Any:
    """The value with every Text in it as JSON can hold it."""
    match value:
        case Text():
            said_as = [value.template, value.plural] if value.plural else [value.template]
            return {"said": said_as, "with": {name: stored(each) for name, each in value.values.items()}}
        case dict():
            return {key: stored(each) for key, each in value.items()}
        case list() | tuple():
            return [stored(each) for each in value]
    return value


def restored(value: Any) -> Any:
    """What was `stored`; of a tuple a list is left."""
    match value:
        case {"said": [str(), *_] as said_as, "with": dict() as values, **others} if not others:
            return Text(*said_as, **{name: restored(each) for name, each in values.items()})
        case dict():
            return {key: restored(each) for key, each in value.items()}
        case list():
            return [restored(each) for each in value]
    return value


def _kept(value: object) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_kept, value))
    # `str` keeps a Text that `__str__` gives.
    return value if isinstance(value, (str, int)) else str(value)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case Text():
            return value.with_names(change)
        case tuple():
            return tuple(_changed(each, change) for each in value)
        case str():
            return change(value)
    return value


def _filled(template: str, plural: str, values: dict[str, Any], gettext: Gettext, ngettext: Ngettext) -> str:
    if not values:
        return gettext(template) if template else ""
    chosen = ngettext(template, plural, values["n"]) if plural else gettext(template)
    return chosen.format(**{name: _shown(value, gettext, ngettext) for name, value in values.items()})


def _shown(value: Any, gettext: Gettext, ngettext: Ngettext) -> str:
    if isinstance(value, tuple):
        return gettext(", ").join(_shown(each, gettext, ngettext) for each in value)
    return rendered(value, gettext, ngettext) if isinstance(value, str) else str(value)


def _english(singular: str, plural: str, n: int) -> str:
    return singular if n == 1 else plural


def _made(template: str, plural: str, values: dict[str, Any]) -> Text:
    return Text(template, plural, **values)


NOTHING = Text()
