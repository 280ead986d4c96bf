"""Forms and filters of clusters, object stores and pairs. Secrets go in and never come out again."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django import forms
from django.utils.translation import gettext_lazy as _

from clusters import class_mapping
from clusters.models import (
    Cluster,
    ClusterPair,
    EndpointKind,
    Engine,
    Health,
    ObjectStore,
    PairMode,
    PortworxPairing,
    Provider,
)
from clusters.pairing.options import FIELDS, why_not
from clusters.portworx.migration import ADMIN_NAMESPACE
from teams.forms import TeamChoice

MOST_KUBECONFIG_BYTES = 256 * 1024
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
# Each provider too. Keys stay in the browser: an address is written into logs.
REDRAWS_PROVIDER = {
    **{key: value for key, value in REDRAWS.items() if key != "hx-select-oob"},
    "hx-params": "not csrfmiddlewaretoken,access_key_id,secret_access_key,ca_bundle",
    "hx-target": "#store-fields",
    "hx-select": "#store-fields",
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


def _begin_with(kwargs: dict[str, Any], instance: Any, names: tuple[str, ...]) -> None:
    """Fill the form with what is kept of `instance`, under what was given (typed before the form was drawn again)."""
    if instance is not None:
        kept = {name: getattr(instance, name) for name in names}
        kwargs["initial"] = {**kept, **(kwargs.get("initial") or {})}


class ClusterForm(NameAndTeam):
    description = forms.CharField(label=_("Description"), max_length=200, required=False)
    kubeconfig = forms.CharField(
        label=_("Kubeconfig"),
        required=False,
        strip=False,
        widget=SecretTextarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off", "class": "kmw-mono"}),
        help_text=_("Its current context is used. Token or client certificate; nothing that runs a program."),
    )
    kubeconfig_file = forms.FileField(
        label=_("or a kubeconfig file"),
        required=False,
        widget=forms.ClearableFileInput(attrs={"data-fills": "id_kubeconfig"}),
    )

    def __init__(self, *args: Any, instance: Cluster | None = None, **kwargs: Any) -> None:
        _begin_with(kwargs, instance, ("name", "description"))
        super().__init__(*args, instance=instance, **kwargs)
        if instance is not None:
            self.fields["kubeconfig"].help_text = UNCHANGED

    def clean_kubeconfig_file(self) -> Any:
        file = self.cleaned_data["kubeconfig_file"]
        if file and file.size > MOST_KUBECONFIG_BYTES:
            raise forms.ValidationError(_("This file is larger than 256 KiB; a kubeconfig is not."))
        return file

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        file = cleaned.pop("kubeconfig_file", None)
        if file and not cleaned.get("kubeconfig", "").strip():
            try:
                cleaned["kubeconfig"] = file.read().decode()
            except UnicodeDecodeError:
                self.add_error("kubeconfig_file", _("This file is not text."))
        if self.instance is None and not cleaned.get("kubeconfig", "").strip() and not self.errors:
            self.add_error("kubeconfig", _("Paste a kubeconfig, or choose a file."))
        return cleaned

    def values(self) -> dict[str, Any]:
        given = super().values()
        if self.instance is not None and not given["kubeconfig"].strip():
            del given["kubeconfig"]
        return given


class StoreChoice(forms.ModelChoiceField):
    """A store by its name, and what it is where it is not S3."""

    def label_from_instance(self, store: ObjectStore) -> str:
        return store.name if store.is_s3 else f"{store.name} ({store.get_provider_display()})"


SECRETS = ("access_key_id", "secret_access_key")
# What only some providers have, and how the others call what all have.
ONLY_S3 = ("endpoint", "region", "prefix", "path_style", "access_key_id", "ca_bundle", "sts_role_arn", "sts_endpoint")
LABELS: dict[str, dict[str, Any]] = {
    Provider.AZURE: {
        "account": _("Storage account"),
        "bucket": _("Container"),
        "secret_access_key": _("Account key"),
    },
    Provider.GOOGLE: {"account": _("Project id"), "secret_access_key": _("JSON key of a service account")},
}


class ObjectStoreForm(NameAndTeam):
    provider = forms.ChoiceField(
        label=_("Provider"),
        choices=Provider.choices,
        initial=Provider.S3,
        required=False,
        help_text=_("The native engine needs S3. Portworx takes all three."),
    )
    account = forms.CharField(label=_("Account"), max_length=200)
    endpoint = forms.CharField(
        label=_("Endpoint"),
        max_length=300,
        required=False,
        help_text=_("For example https://s3.example.com; empty for Amazon S3."),
    )
    region = forms.CharField(label=_("Region"), max_length=60, initial="us-east-1")
    bucket = forms.CharField(label=_("Bucket"), max_length=63)
    prefix = forms.CharField(  # type: ignore[assignment]  # fields are taken out of the class before it is made
        label=_("Prefix"),
        max_length=200,
        required=False,
        initial="kubemotion",
        help_text=_("All objects are kept below it."),
    )
    path_style = forms.BooleanField(
        label=_("Path-style addressing"),
        required=False,
        initial=True,
        help_text=_("Most stores other than Amazon S3 need it."),
    )
    access_key_id = forms.CharField(
        label=_("Access key id"), required=False, widget=SecretText(attrs={"autocomplete": "off"})
    )
    secret_access_key = forms.CharField(
        label=_("Secret access key"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    ca_bundle = forms.CharField(
        label=_("CA bundle"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "kmw-mono"}),
        help_text=_("PEM, where the certificate is not publicly trusted."),
    )
    sts_role_arn = forms.CharField(
        label=_("Role for movers"),
        max_length=300,
        required=False,
        help_text=_(
            "ARN of a role that the key pair may assume, so that movers get temporary keys. Amazon S3 needs it."
        ),
    )
    sts_endpoint = forms.CharField(
        label=_("STS endpoint"),
        max_length=300,
        required=False,
        help_text=_("Where temporary keys are asked for; empty for the endpoint itself, and for Amazon's own."),
    )

    def __init__(self, *args: Any, instance: ObjectStore | None = None, **kwargs: Any) -> None:
        shown = (
            "name",
            "provider",
            "account",
            "endpoint",
            "region",
            "bucket",
            "prefix",
            "path_style",
            "ca_bundle",
            "sts_role_arn",
            "sts_endpoint",
        )
        _begin_with(kwargs, instance, shown)
        super().__init__(*args, instance=instance, **kwargs)
        for secret in SECRETS:
            self.fields[secret].required = instance is None
            if instance is not None:
                self.fields[secret].help_text = UNCHANGED
        self._suit_provider()

    def _suit_provider(self) -> None:
        """Each provider has fields of its own; a store stays with the one that it was added with."""
        given = self.data.get("provider") or self.initial.get("provider")
        provider = self.instance.provider if self.instance is not None else given
        if self.instance is not None:
            del self.fields["provider"]
        else:
            self.fields["provider"].widget.attrs.update(REDRAWS_PROVIDER)
        if provider not in LABELS:
            del self.fields["account"]
            return
        for name in ONLY_S3:
            del self.fields[name]
        for name, label in LABELS[provider].items():
            self.fields[name].label = label
        self.order_fields(["team", "name", "provider", "account"])
        if provider == Provider.GOOGLE:
            self.fields["secret_access_key"].widget = SecretTextarea(
                attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off", "class": "kmw-mono"}
            )

    def values(self) -> dict[str, Any]:
        """On editing, a secret that was left empty stays as it is."""
        kept = SECRETS if self.instance is not None else ()
        given = {key: value for key, value in super().values().items() if not (key in kept and not value)}
        return {key: value for key, value in given.items() if key != "provider" or value}


class PairForm(NameAndTeam):
    source = forms.ModelChoiceField(label=_("Source"), queryset=Cluster.objects.none(), empty_label=None)
    destination = forms.ModelChoiceField(label=_("Destination"), queryset=Cluster.objects.none(), empty_label=None)
    object_store = StoreChoice(
        label=_("Object store"),
        queryset=ObjectStore.objects.none(),
        empty_label=None,
        help_text=_("The native engine needs S3. Portworx takes all three."),
    )
    engine = forms.ChoiceField(label=_("Engine"), choices=Engine.choices, initial=Engine.NATIVE)
    namespace = forms.CharField(
        label=_("Namespace of the ClusterPair"),
        max_length=63,
        required=False,
        initial=ADMIN_NAMESPACE,
        help_text=_("The application's own, or the admin namespace, whose migrations may move every namespace."),
    )
    object_name = forms.CharField(
        label=_("Name of the ClusterPair"),
        max_length=253,
        required=False,
        help_text=_("Empty to name it like the destination."),
    )
    mode = forms.ChoiceField(label=_("Mode"), choices=PairMode.choices, required=False)
    endpoint_kind = forms.ChoiceField(label=_("Endpoint"), choices=EndpointKind.choices, required=False)
    endpoint_host = forms.CharField(
        label=_("Endpoint by hand"),
        max_length=260,
        required=False,
        help_text=_("Where the source reaches the destination's Portworx; empty to find it."),
    )
    endpoint_port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, required=False)
    with_backup_location = forms.BooleanField(label=_("Keys in a BackupLocation"), required=False)
    both_directions = forms.BooleanField(label=_("Both directions"), required=False)

    def __init__(self, *args: Any, instance: ClusterPair | None = None, **kwargs: Any) -> None:
        _begin_with(kwargs, instance, ("name", "source", "destination", "object_store", "engine"))
        if (pairing := getattr(instance, "portworx", None)) is not None:
            _begin_with(kwargs, pairing, FIELDS)
        super().__init__(*args, instance=instance, **kwargs)
        clusters = Cluster.objects.filter(team__in=[instance.team] if instance else self.may_choose)
        clusters = clusters.select_related("team").defer("kubeconfig")
        stores = ObjectStore.objects.filter(team__in=[instance.team] if instance else self.may_choose)
        self._choose("source", clusters)
        self._choose("destination", clusters)
        self._choose("object_store", stores.defer("access_key_id", "secret_access_key"))
        if instance is None and "destination" not in self.initial:
            second = clusters[1:2].first()
            self.initial["destination"] = second.pk if second else None
        source, destination = self._given("source", clusters), self._given("destination", clusters)
        self.class_fields = class_mapping.fields(
            source, destination, instance.storage_class_mapping if instance is not None else {}
        )
        self.fields.update(self.class_fields)
        self._offer_engines(source, destination)
        if pairing is not None:
            self._name_endpoints(pairing)

    def _name_endpoints(self, pairing: PortworxPairing) -> None:
        """Beside each kind of endpoint, what was found of it when somebody last looked."""
        field = self.fields.get("endpoint_kind")
        if isinstance(field, forms.ChoiceField):
            known: dict[str, str] = {}
            for each in pairing.endpoints:
                known.setdefault(each["kind"], f"{each['host']}:{each['port']}")
            field.choices = [
                (kind, f"{label} · {known[kind]}" if kind in known else label) for kind, label in EndpointKind.choices
            ]

    def _offer_engines(self, source: Cluster | None, destination: Cluster | None) -> None:
        """Portworx is a choice where both clusters have it, or while the pair says so already."""
        known = self.instance is not None and self.instance.engine == Engine.PORTWORX
        self.why_no_portworx = why_not(source, destination) if source and destination else ""
        is_offered = known or bool(source and destination and not self.why_no_portworx)
        field = self.fields["engine"]
        assert isinstance(field, forms.ChoiceField)
        field.widget.attrs.update(REDRAWS)
        if not is_offered:
            field.choices = [choice for choice in Engine.choices if choice[0] != Engine.PORTWORX]
        if not is_offered or (self.data.get("engine") or self.initial.get("engine")) != Engine.PORTWORX:
            for name in FIELDS:
                del self.fields[name]

    def _choose(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset
        if name != "object_store":
            field.widget.attrs.update(REDRAWS)

    def _given(self, name: str, clusters: Any) -> Cluster | None:
        given = self.data.get(name) or self.initial.get(name)
        if isinstance(given, Cluster):
            return given
        try:
            return clusters.filter(pk=uuid.UUID(str(given))).first()
        except ValueError:
            return clusters.first() if name == "source" else None

    def class_mapping_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.class_fields]

    def portworx_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in FIELDS if name in self.fields]

    def main_fields(self) -> list[forms.BoundField]:
        return [bound for bound in self if bound.name not in {*self.class_fields, *FIELDS, "engine"}]

    def values(self) -> dict[str, Any]:
        """The arguments for the service; an empty name or namespace is left to it."""
        given = super().values()
        portworx = {name: given.pop(name) for name in FIELDS if name in given}
        for name in ("namespace", "object_name"):
            if not portworx.get(name):
                portworx.pop(name, None)
        return given | ({"portworx": portworx} if portworx else {})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        source, destination = cleaned.get("source"), cleaned.get("destination")
        if source is not None and source == destination:
            self.add_error("destination", _("Source and destination are the same cluster."))
        mapping = class_mapping.mapping_of(cleaned)
        kept = {key: value for key, value in cleaned.items() if key not in self.class_fields}
        return {**kept, "storage_class_mapping": mapping}


def _health() -> django_filters.ChoiceFilter:
    return django_filters.ChoiceFilter(label=_("Health"), choices=Health.choices, empty_label=_("any"))


def _name() -> django_filters.CharFilter:
    return django_filters.CharFilter(label=_("Name"), lookup_expr="icontains")


class ClusterFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(fields=("name", "health", "version", "team__name", "checked_at"))

    class Meta:
        model = Cluster
        fields = ["name", "health"]


class ObjectStoreFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(fields=("name", "health", "bucket", "team__name", "checked_at"))

    class Meta:
        model = ObjectStore
        fields = ["name", "health"]


class PairFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(
        fields=("name", "health", "source__name", "destination__name", "team__name", "checked_at")
    )

    class Meta:
        model = ClusterPair
        fields = ["name", "health"]
