"""The form of a pair: other clusters have other storage classes, and each engine fields of its own."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters import class_mapping
from clusters.form_parts import REDRAWS, NameAndTeam, begin_with
from clusters.models import (
    Cluster,
    ClusterPair,
    EndpointKind,
    Engine,
    ObjectStore,
    PairMode,
    PortworxPairing,
)
from clusters.pairing.options import FIELDS, why_not
from clusters.portworx.migration import ADMIN_NAMESPACE


class StoreChoice(forms.ModelChoiceField):
    """A store by its name, and what it is where it is not S3."""

    def label_from_instance(self, store: ObjectStore) -> str:
        return store.name if store.is_s3 else f"{store.name} ({store.get_provider_display()})"


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
        begin_with(kwargs, instance, ("name", "source", "destination", "object_store", "engine"))
        if (pairing := getattr(instance, "portworx", None)) is not None:
            begin_with(kwargs, pairing, FIELDS)
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
