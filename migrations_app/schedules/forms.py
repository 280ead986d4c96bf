"""Forms of schedules, policies and rules, and of what takes applications over."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.portworx.migration import MigrationSpec
from clusters.portworx.policies import Policy
from clusters.portworx.rules import Action
from migrations_app.schedules.overview import Side

DAYS = [
    ("", "–"),
    ("Monday", _("Monday")),
    ("Tuesday", _("Tuesday")),
    ("Wednesday", _("Wednesday")),
    ("Thursday", _("Thursday")),
    ("Friday", _("Friday")),
    ("Saturday", _("Saturday")),
    ("Sunday", _("Sunday")),
]


def labels(text: str) -> dict[str, str]:
    """`app=mysql, tier=db` as a mapping. Raises ValidationError."""
    found = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            message = _("Write labels as key=value, separated by commas; this is none: %(part)s")
            raise forms.ValidationError(message, params={"part": part.strip()})
        found[key.strip()] = value.strip()
    return found


class ScheduleForm(forms.Form):
    """A MigrationSchedule; pairs and policies are those that the source has."""

    name = forms.CharField(label=_("Name"), max_length=253)
    pair = forms.ChoiceField(
        label=_("ClusterPair"),
        help_text=_("The schedule lives in its namespace. One in kube-system can migrate any namespace."),
    )
    namespaces = forms.CharField(
        label=_("Namespaces"), required=False, help_text=_("Separated by spaces. Empty: the ClusterPair's namespace.")
    )
    policy = forms.ChoiceField(label=_("Schedule policy"))
    include_volumes = forms.BooleanField(label=_("Volumes with their data"), required=False, initial=True)
    include_resources = forms.BooleanField(label=_("Kubernetes objects"), required=False, initial=True)
    start_applications = forms.BooleanField(
        label=_("Start the applications"),
        required=False,
        help_text=_("Leave it off: applications that run there hold their volumes, and the next migration fails."),
    )
    purge_deleted_resources = forms.BooleanField(label=_("Purge deleted resources"), required=False)
    selectors = forms.CharField(label=_("Label selectors"), required=False, help_text=_("key=value, all must match"))
    pre_exec_rule = forms.ChoiceField(label=_("Rule before volumes"), required=False)
    post_exec_rule = forms.ChoiceField(label=_("Rule after volumes"), required=False)
    auto_suspend = forms.BooleanField(
        label=_("Suspend when the destination takes over"),
        required=False,
        initial=True,
        help_text=_("So that what runs there is not overwritten."),
    )

    def __init__(self, *args: Any, source: Side, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._choices("pair", [str(each) for each in source.pairs])
        self._choices("policy", sorted({each.name for each in source.policies}))
        for name in ("pre_exec_rule", "post_exec_rule"):
            self._choices(name, ["", *sorted({each.name for each in source.rules})])

    def _choices(self, name: str, values: list[str]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(value, value or "–") for value in values]

    def clean_selectors(self) -> dict[str, str]:
        return labels(self.cleaned_data["selectors"])

    def values(self) -> dict[str, Any]:
        """The arguments that `services.add_schedule` takes, beside pair and actor."""
        given = self.cleaned_data
        namespace, _slash, cluster_pair = given["pair"].partition("/")
        spec = MigrationSpec(
            cluster_pair=cluster_pair,
            namespaces=tuple(given["namespaces"].replace(",", " ").split()) or (namespace,),
            **{
                name: given[name]
                for name in (
                    "include_volumes",
                    "include_resources",
                    "start_applications",
                    "purge_deleted_resources",
                    "selectors",
                    "pre_exec_rule",
                    "post_exec_rule",
                )
            },
        )
        own = {name: given[name] for name in ("name", "policy", "auto_suspend")}
        return {**own, "namespace": namespace, "spec": spec}


class PolicyForm(forms.Form):
    """A SchedulePolicy."""

    name = forms.CharField(label=_("Name"), max_length=253)
    namespace = forms.CharField(
        label=_("Namespace"),
        max_length=63,
        required=False,
        help_text=_("Empty: of the whole cluster. One of a namespace wins over one of the cluster."),
    )
    interval_minutes = forms.IntegerField(label=_("Every so many minutes"), min_value=1, required=False)
    daily = forms.CharField(label=_("Daily at"), required=False, help_text=_("Such as 3:04PM"))
    weekly_day = forms.ChoiceField(label=_("Weekly on"), choices=DAYS, required=False)
    weekly = forms.CharField(label=_("at"), required=False, help_text=_("Such as 3:04PM"))
    monthly_date = forms.IntegerField(label=_("Monthly on the"), min_value=1, max_value=31, required=False)
    monthly = forms.CharField(label=_("at"), required=False, help_text=_("Such as 3:04PM"))

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        policy = Policy(
            interval_minutes=given["interval_minutes"] or 0,
            daily=given["daily"],
            weekly_day=given["weekly_day"],
            weekly=given["weekly"],
            monthly_date=given["monthly_date"] or 0,
            monthly=given["monthly"],
        )
        return {"name": given["name"], "namespace": given["namespace"], "policy": policy}


class RuleForm(forms.Form):
    """A Rule with one command; the API takes rules with several."""

    name = forms.CharField(label=_("Name"), max_length=253)
    namespace = forms.CharField(label=_("Namespace"), max_length=63)
    selector = forms.CharField(label=_("In pods with the labels"), help_text=_("key=value, separated by commas"))
    container = forms.CharField(label=_("Container"), required=False, help_text=_("Empty: the first one"))
    command = forms.CharField(label=_("Command"), widget=forms.Textarea(attrs={"rows": 3}))
    background = forms.BooleanField(
        label=_("In the background"),
        required=False,
        help_text=_("It goes on until the volumes are taken; it has to hold ${WAIT_CMD}. Not after volumes."),
    )
    single_pod = forms.BooleanField(label=_("In one pod only"), required=False)

    def clean_selector(self) -> dict[str, str]:
        return labels(self.cleaned_data["selector"])

    def values(self) -> dict[str, Any]:
        given = self.cleaned_data
        names = ("selector", "command", "container", "background", "single_pod")
        return {
            "name": given["name"],
            "namespace": given["namespace"],
            "commands": [Action(**{name: given[name] for name in names})],
        }
