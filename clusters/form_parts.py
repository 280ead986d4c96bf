"""What forms of clusters, object stores and pairs share. Secrets go in and never come out again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from teams.forms import TeamChoice

UNCHANGED = _("Unchanged unless you give a new one.")
# Another source or destination has other storage classes, and each engine fields of its own: all of them are fetched
# again, with what was typed so far. Who changes two things quickly gets the answer to the second, which knows both.
REDRAWS = {
    "hx-get": "",
    "hx-trigger": "change",
    "hx-include": "closest form",
    "hx-params": "not csrfmiddlewaretoken",
    "hx-target": "#class-mapping",
    "hx-select": "#class-mapping",
    "hx-select-oob": "#engine-choice",
    "hx-swap": "outerHTML",
    "hx-sync": "closest form:replace",
}


class NotShownAgain:
    """Mixin for widgets of secrets: what was typed is not sent back, not even beside an error."""

    def format_value(self, value: Any) -> None:
        return None


class SecretText(NotShownAgain, forms.TextInput):
    """One line that is readable while it is typed."""


class SecretTextarea(NotShownAgain, forms.Textarea):
    """Lines that are readable while they are typed."""


class NameAndTeam(forms.Form):
    """What every one of them begins with. `instance` is what is edited; the team is chosen once, when it is added."""

    name = forms.CharField(label=_("Name"), max_length=63)

    def __init__(self, *args: Any, teams: Any, instance: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance = instance
        self.may_choose = teams
        if instance is None:
            self.fields["team"] = TeamChoice(teams)
            self.order_fields(["team"])

    def values(self) -> dict[str, Any]:
        """The arguments for the service, without the team."""
        return {key: value for key, value in self.cleaned_data.items() if key != "team"}


def begin_with(kwargs: dict[str, Any], instance: Any, names: tuple[str, ...]) -> None:
    """Fill the form with what is kept of `instance`, under what was given (typed before the form was drawn again)."""
    if instance is not None:
        kept = {name: getattr(instance, name) for name in names}
        kwargs["initial"] = {**kept, **(kwargs.get("initial") or {})}
