"""What a look around finds: what Stork would take, and the results of the checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clusters.models import ClusterPair
from clusters.portworx import collecting
from clusters.texts import NOTHING, Text, said
from migrations_app.resources.preflight.result import Result, Verdict, passed
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
TITLES = {
    "stork-served": said("Stork on the source"),
    "stork-pair": said("The ClusterPair"),
    "stork-permissions": said("What our account may do with Migrations"),
    "stork-namespaces": said("Namespaces"),
    "stork-rules": said("Rules and transformations"),
    "stork-name": said("The Migration's name"),
    "stork-claims": said("Claims"),
    "stork-left": said("Objects that stay behind"),
    "stork-token-secrets": said("Token Secrets"),
    "stork-hosts": said("Hosts of Routes and Ingresses"),
    "stork-replaced": said("Objects of the destination"),
}


@dataclass
class Survey:
    """What Stork would take, and what was found about it."""

    taken: collecting.Taken = field(default_factory=collecting.Taken)
    # Of each claim's volume, by namespace and name of the claim.
    volumes: dict[tuple[str, str], Object] = field(default_factory=dict)
    checks: list[Result] = field(default_factory=list)

    def ok(self, code: str, message: Text) -> None:
        self.checks.append(passed(code, TITLES[code], message))

    def failure(self, code: str, message: Text, remedy: Text, *, why: Text = NOTHING, command: str = "") -> None:
        self.checks.append(
            Result(code, Verdict.FAILURE, TITLES[code], message, why=why, remedy=remedy, command=command)
        )

    def warning(
        self, code: str, message: Text, *, objects: Iterable[str] = (), why: Text = NOTHING, remedy: Text = NOTHING
    ) -> None:
        self.checks.append(Result(code, Verdict.WARNING, TITLES[code], message, tuple(objects), why=why, remedy=remedy))


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `migration_id` tells the Migration that an earlier step of the same one has made."""

    pair: ClusterPair
    spec: Spec
    name: str = ""
    migration_id: str = ""

    @property
    def home(self) -> str:
        """The namespace of the ClusterPair, and so of the Migration."""
        return self.pair.stork_namespace
