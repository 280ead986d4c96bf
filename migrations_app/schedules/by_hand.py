"""What one would type for schedules, activation, failover and failback; contexts are named like the clusters."""

from __future__ import annotations

import shlex
from typing import Any

import yaml
from django.utils.translation import gettext as _

from clusters.models import ClusterPair
from clusters.portworx import policies, rules, schedules
from clusters.portworx.migration import MigrationSpec
from clusters.portworx.policies import Policy
from migrations_app.by_hand import Command

# What every Stork makes when it starts (pkg/schedule, DefaultMigrationPolicy).
POLICY = "default-migration-policy"


def of_verb(pair: ClusterPair, verb: str, namespace: str, name: str) -> str:
    """The lines that do with a schedule what a button of the page does; empty for a verb that there is not."""
    source, destination = (f"--context {shlex.quote(each.name)}" for each in (pair.source, pair.destination))
    where = f"-n {namespace}"
    return {
        "suspend": f"storkctl {source} suspend migrationschedule {name} {where}",
        "resume": f"storkctl {source} resume migrationschedule {name} {where}",
        "remove": (
            f"oc {source} delete migrationschedule {name} {where}\n"
            f"oc {destination} delete migrationschedule {name} {where}"
        ),
        "activate": f"storkctl {destination} activate migrations {where}",
        "deactivate": f"storkctl {destination} deactivate migrations {where}",
        "failover": (
            f"storkctl {destination} perform failover -m {name} {where}\n"
            f"# where the source is lost: add --skip-source-operations\n"
            f"storkctl {destination} get failover {where}"
        ),
        "failback": (f"storkctl {source} perform failback -m {name} {where}\nstorkctl {source} get failback {where}"),
    }.get(verb, "")


def commands(pair: ClusterPair) -> list[Command]:
    """Looking at what Stork has, and making a policy, a rule and a schedule; names are left to fill in."""
    namespace = pair.stork_namespace or "cms"
    source, destination = (f"--context {shlex.quote(each.name)}" for each in (pair.source, pair.destination))
    spec = MigrationSpec(cluster_pair=pair.stork_name, namespaces=("<namespace>",), start_applications=False)
    policy = policies.manifest("<name>", Policy(interval_minutes=30))
    rule = rules.manifest("<name>", namespace, [rules.Action(selector={"app": "<label>"}, command="<command>")])
    schedule = schedules.manifest("<name>", namespace, spec, policy=POLICY)
    where = f"-n {namespace}"
    return [
        Command(
            _("What Stork has"),
            f"storkctl {source} get migrationschedule {where}\n"
            f"storkctl {source} get schedulepolicy\n"
            f"oc {source} get rule {where}\n"
            f"storkctl {destination} get failover {where}\n"
            f"storkctl {source} get failback {where}",
        ),
        Command(_("Add a schedule policy"), _applied(source, policy)),
        Command(_("Add a rule"), _applied(source, rule)),
        Command(_("Add a schedule"), _applied(source, schedule)),
        *(
            Command(title, of_verb(pair, verb, namespace, "<name>"))
            for verb, title in (
                ("suspend", _("Suspend")),
                ("resume", _("Resume")),
                ("remove", _("Delete")),
                ("activate", _("Activate")),
                ("deactivate", _("Deactivate")),
                ("failover", _("Fail over")),
                ("failback", _("Fail back")),
            )
        ),
    ]


def _applied(context: str, document: dict[str, Any]) -> str:
    return f"oc {context} apply -f - <<'EOF'\n{yaml.safe_dump(document, sort_keys=False)}EOF"
