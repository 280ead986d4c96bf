"""The ClusterPair document, as `storkctl generate clusterpair` writes it from the destination's kubeconfig.

The embedded kubeconfig has client-go's inner form: maps by name instead of lists, pruned to the current context
(libopenstorage/stork, pkg/storkctl/clusterpair.go).
"""

from __future__ import annotations

import copy
import re
from enum import StrEnum
from typing import Any

import yaml

from clusters.kube import kubeconfig

API_VERSION = "stork.libopenstorage.org/v1alpha1"
RESOURCE = "clusterpairs.stork.libopenstorage.org"
PLACEHOLDER = "insert_storage_options_here"
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
MASK = "***"
SECRET_KEYS = frozenset({"token", "password", "client-key-data", "client-certificate-data", "auth-provider", "exec"})

Object = dict[str, Any]


class Mode(StrEnum):
    """The option `mode`. Empty is Portworx' default: every seventh migration is full."""

    DEFAULT = ""
    DISASTER_RECOVERY = "DisasterRecovery"
    ONE_TIME = "OneTimeMigration"


def require_name(name: str, what: str = "Name") -> None:
    """Raise ValueError in storkctl's words for a name that Kubernetes does not take."""
    pattern = DNS_LABEL if what == "Namespace" else DNS_SUBDOMAIN
    if not pattern.fullmatch(name):
        raise ValueError(
            f'the {what} "{name}" is not valid: lower case letters, digits and “-”, beginning and ending with a letter '
            "or digit"
        )


def embedded_kubeconfig(text: str, origin: str) -> Object:
    """`spec.config`: the current context of a kubeconfig with its cluster and user. Raises KubeconfigError."""
    document = yaml.safe_load(kubeconfig.minimal(text))
    sections: Object = {"current-context": document["current-context"], "preferences": {}}
    for plural, singular in (("clusters", "cluster"), ("contexts", "context"), ("users", "user")):
        row = document[plural][0]
        sections[plural] = {str(row["name"]): {"LocationOfOrigin": origin, **row[singular]}}
    return sections


def options_for(
    *, host: str, port: int | str, token: str, mode: str = Mode.DEFAULT, backup_location: str = ""
) -> dict[str, str]:
    """`spec.options` for Portworx. `backup_location` names the BackupLocation whose keys are used."""
    found = {"ip": host, "port": str(port), "token": token}
    found |= {"mode": str(mode)} if mode else {}
    return found | ({"backuplocation": backup_location} if backup_location else {})


def generate(
    text: str,
    *,
    name: str,
    namespace: str,
    origin: str = "kubeconfig",
    options: dict[str, str] | None = None,
) -> Object:
    """The whole document from the destination's kubeconfig; without options it has storkctl's placeholder.

    Raises KubeconfigError, and ValueError for a name or namespace that cannot be.
    """
    require_name(name)
    require_name(namespace, "Namespace")
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPair",
        "metadata": {"creationTimestamp": None, "name": name, "namespace": namespace},
        "spec": {
            "config": embedded_kubeconfig(text, origin),
            "options": {PLACEHOLDER: ""} if options is None else dict(options),
            "platformOptions": {},
        },
        "status": {"remoteStorageId": "", "schedulerStatus": "", "storageStatus": ""},
    }


def to_apply(document: Object) -> Object:
    """What is sent to the cluster: without status, which Stork writes, and the times, which the cluster writes."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "creationTimestamp"}
    return {key: value for key, value in document.items() if key != "status"} | {"metadata": metadata}


def masked(document: Object) -> Object:
    """The document with every secret replaced by ***; certificates too, which nobody reads."""
    found = copy.deepcopy(document)
    spec = found.get("spec") or {}
    _mask(spec.get("config"), SECRET_KEYS | {"certificate-authority-data"})
    _mask(spec.get("options"), frozenset({"token"}))
    annotations = (found.get("metadata") or {}).get("annotations") or {}
    # kubectl apply repeats the whole document there, key and all.
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return found


def _mask(value: Any, keys: frozenset[str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and inner:
                value[key] = MASK
            else:
                _mask(inner, keys)
    elif isinstance(value, list):
        for each in value:
            _mask(each, keys)


class _Dumper(yaml.SafeDumper):
    """YAML as Go's `sigs.k8s.io/yaml` writes it: keys sorted, and double quotes where any are needed."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    plain = bool(value) and dumper.resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def to_yaml(document: Object) -> str:
    """The document as text."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=True, default_flow_style=False, width=10**6))
