"""What an administrator would type instead: shown on the migration's page for copying, never run."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from migrations_app.models import Migration


@dataclass(frozen=True)
class Command:
    """One step by hand: what it is for, and the lines to copy."""

    purpose: str
    lines: str


def commands(migration: Migration) -> list[Command]:
    """The steps of this migration by hand; contexts of the kubeconfig are named like the clusters."""
    pair = migration.pair
    source, destination = shlex.quote(pair.source.name), shlex.quote(pair.destination.name)
    home = migration.namespaces[0]
    name = migration.name
    return [
        Command(
            _("What is on the source"),
            "\n".join(
                line
                for namespace in migration.namespaces
                for line in (
                    f"oc --context {source} get all -n {namespace}",
                    f"kubectl --context {source} get pvc -n {namespace} -o wide",
                )
            ),
        ),
        Command(
            _("Pair the clusters (Stork)"),
            f"storkctl --context {destination} generate clusterpair -n {home} {destination} > clusterpair.yaml\n"
            f"oc --context {source} apply -n {home} -f clusterpair.yaml\n"
            f"storkctl --context {source} -n {home} get clusterpair",
        ),
        Command(
            _("Start the migration (Stork)"),
            f"oc --context {source} apply -f - <<'EOF'\n{_manifest(migration)}EOF",
        ),
        Command(
            _("Follow it"),
            f"storkctl --context {source} get migration -n {home}\n"
            f"oc --context {source} describe migration {name} -n {home}",
        ),
        Command(
            _("What has arrived on the destination"),
            "\n".join(f"oc --context {destination} get all,pvc -n {namespace}" for namespace in migration.namespaces),
        ),
    ]


def _manifest(migration: Migration) -> str:
    spec: dict[str, Any] = {
        "clusterPair": migration.pair.destination.name,
        "includeVolumes": migration.include_volumes,
        "includeResources": migration.include_resources,
        "startApplications": migration.start_applications,
    }
    lines = [
        "apiVersion: stork.libopenstorage.org/v1alpha1",
        "kind: Migration",
        "metadata:",
        f"  name: {migration.name}",
        f"  namespace: {migration.namespaces[0]}",
        "spec:",
        *(f"  {key}: {json.dumps(value)}" for key, value in spec.items()),
        "  namespaces:",
        *(f"  - {namespace}" for namespace in migration.namespaces),
    ]
    return "\n".join(lines) + "\n"
