"""Forms of account and teams, and how a refusal of a service comes back into a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from teams.models import Role, Team
from teams.refusals import Refusal

TOKEN_LIVES = [("30", _("30 days")), ("90", _("90 days")), ("365", _("1 year")), ("", _("No end"))]


def add_refusal(form: forms.BaseForm, refusal: Refusal) -> None:
    """Show what a service refused at the fields that it names, or above the form."""
    if not refusal.errors:
        form.add_error(None, str(refusal))
    _add_errors(form, refusal.errors)


def _add_errors(form: forms.BaseForm, errors: dict[str, Any]) -> None:
    for name, said in errors.items():
        if isinstance(said, dict):
            _add_errors(form, said)
            continue
        for message in said:
            form.add_error(name if name in form.fields else None, message)


class TeamChoice(forms.ModelChoiceField):
    """A choice of one of the teams given; hidden where there is but one."""

    def __init__(self, teams: Any, **kwargs: Any) -> None:
        only = list(teams[:2])
        super().__init__(queryset=teams, label=_("Team"), empty_label=None, **kwargs)
        if len(only) == 1:
            self.initial = only[0].pk
            self.widget = forms.HiddenInput()


class TeamForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=Team._meta.get_field("name").max_length)


class MemberForm(forms.Form):
    username = forms.CharField(label=_("User name"), max_length=150)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100, help_text=_("What will use the token."))
    days = forms.TypedChoiceField(label=_("Lasts"), choices=TOKEN_LIVES, coerce=int, empty_value=None, required=False)
