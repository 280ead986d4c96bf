"""What an administrator would type instead: shown on the migration's page for copying, never run."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.translation import gettext as _

from clusters.models import Engine
from clusters.pairing import documents, jobs
from clusters.portworx.by_hand import commands as portworx_commands
from migrations_app.engines.portworx import asking
from migrations_app.models import Migration


@dataclass(frozen=True)
class Command:
    """One step by hand: what it is for, and the lines to copy."""

    purpose: str
    lines: str


def commands(migration: Migration) -> list[Command]:
    """The steps of this migration by hand; contexts of the kubeconfig are named like the clusters."""
    pair = migration.pair
    if pair.engine == Engine.PORTWORX and pair.stork_name:
        return _with_stork(migration)
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


def _with_stork(migration: Migration) -> list[Command]:
    """What was done and looked at for this very migration, with its own names."""
    pair = migration.pair
    names = documents.names_of(jobs.pairing_of(pair))
    steps = portworx_commands(names)
    source, destination = shlex.quote(pair.source.name), shlex.quote(pair.destination.name)
    known = migration.stork_object or {"namespace": pair.stork_namespace, "name": migration.name}
    home, name = known["namespace"], known["name"]
    document = yaml.safe_dump(asking.document(migration), sort_keys=False)
    each = migration.namespaces
    return [
        Command(_("Look at both clusters"), steps["clusters"]),
        Command(
            _("What is on the source"),
            "\n".join(f"oc --context {source} get all,pvc -n {namespace}" for namespace in each)
            + f"\noc --context {source} -n {names.source_px} exec $PX_POD -- "
            "/opt/pwx/bin/pxctl volume inspect <volume>",
        ),
        Command(_("The destination's cluster UUID"), steps["uuid"]),
        Command(
            _("Credentials on both clusters"), f"{steps['credentials-destination']}\n{steps['credentials-source']}"
        ),
        Command(_("The destination's token"), steps["token"]),
        Command(_("The destination's address"), steps["endpoint"]),
        Command(
            _("The ClusterPair"),
            "\n".join(steps[code] for code in ("document", "applied", "status")),
        ),
        Command(_("Start the migration (Stork)"), f"oc --context {source} apply -f - <<'EOF'\n{document}EOF"),
        Command(
            _("Follow it"),
            f"storkctl --context {source} get migration -n {home}\n"
            f"oc --context {source} describe migration {name} -n {home}",
        ),
        Command(_("Cancel it"), f"storkctl --context {source} delete migration {name} -n {home}"),
        Command(
            _("What has arrived on the destination"),
            "\n".join(f"oc --context {destination} get all,pvc -n {namespace}" for namespace in each),
        ),
        Command(
            _("Open the application"),
            "\n".join(f"oc --context {destination} port-forward -n {namespace} <pod> 8080:80" for namespace in each),
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
