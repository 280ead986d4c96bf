"""What Portworx itself says before Stork is asked: whether its licence lets it migrate, and how each volume is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx import discovery, pods, volumes
from clusters.portworx.errors import PortworxError
from clusters.portworx.pods import Portworx
from clusters.texts import NOTHING, Text, both, counted, listed, said, sentences
from migrations_app.engines.sides import Side
from migrations_app.resources.preflight.result import Result, Verdict, passed
from migrations_app.resources.quantities import to_text

Object = dict[str, Any]
TITLES = {
    "portworx-licence": said("The licence of Portworx"),
    "portworx-volumes": said("The volumes, as Portworx has them"),
}


@dataclass(frozen=True)
class Said[T]:
    """What came of a question to Portworx: an answer, or what kept it from answering and what to do."""

    answer: T | None
    trouble: Text = NOTHING
    remedy: Text = NOTHING


def asked[T](connection: Connection, question: Callable[[Portworx], T]) -> Said[T]:
    """The answer of the cluster's Portworx. Nothing is raised: no migration depends on what it says here."""
    try:
        return Said(question(pods.find(connection)))
    except PortworxError as error:
        return Said(None, error.message, error.remedy)
    except errors.Forbidden as error:
        return Said(
            None,
            error.message,
            said("Allow the account the verb create on pods/exec in the namespace of Portworx."),
        )
    except errors.KubeError as error:
        return Said(None, error.message)


def licence_allows(connection: Connection, side: Side) -> Said[bool]:
    """Whether the licence of the side's Portworx lets it migrate."""
    name = str(side.cluster.portworx.get("licence") or "")
    answered = asked(connection, lambda portworx: discovery.licence_allows(portworx, name))
    if answered.answer is None and not answered.trouble:
        trouble = said("pxctl license list does not speak of migrations.")
        return Said(None, trouble, said("Look at the licence by hand."))
    return Said(answered.answer, answered.trouble, answered.remedy)


def licence_check(told: dict[Side, Said[bool]]) -> Result:
    """What the licences of both sides come to."""
    code = "portworx-licence"
    refused = [side for side, each in told.items() if each.answer is False]
    unknown = {side: each for side, each in told.items() if each.answer is None}
    if refused:
        sides = [
            said(
                "{side} ({licence})",
                side=side,
                licence=side.cluster.portworx.get("licence") or said("its name is unknown"),
            )
            for side in refused
        ]
        return Result(
            code,
            Verdict.FAILURE,
            TITLES[code],
            said("The licence of Portworx does not allow migrations on the {sides}.", sides=both(sides)),
            why=said("Portworx refuses each volume when its turn comes."),
            remedy=said("Install one with “Cluster-level migration”, or use a pair of the native engine."),
            command="pxctl license list",
        )
    if unknown:
        return Result(
            code,
            Verdict.WARNING,
            TITLES[code],
            sentences(
                said("Not known."),
                *(said("The {side}: {trouble}", side=side, trouble=each.trouble) for side, each in unknown.items()),
            ),
            remedy=sentences(*dict.fromkeys(each.remedy for each in unknown.values())),
        )
    return passed(code, TITLES[code], said("The licences of both clusters allow migrations."))


def facts_of(connection: Connection, side: Side, claims: Iterable[Object]) -> Said[dict[tuple[str, str], Object]]:
    """By namespace and name of each claim, what `pxctl volume inspect` says of its volume, or its `problem`."""
    wanted = [volumes.claim_of(each) for each in claims]
    answered = asked(connection, lambda portworx: volumes.inspect(portworx, connection, wanted))
    nodes = side.cluster.portworx.get("nodes") or ()
    found = {
        (claim.namespace, claim.name): {**volumes.facts(claim, nodes), "problem": claim.problem} for claim in wanted
    }
    return Said(None if answered.trouble else found, answered.trouble, answered.remedy)


def volumes_check(told: Said[dict[tuple[str, str], Object]]) -> Result:
    """Whether all volumes are up, so that Portworx can move them."""
    code = "portworx-volumes"
    if told.answer is None:
        return Result(
            code, Verdict.WARNING, TITLES[code], sentences(said("Not known."), told.trouble), remedy=told.remedy
        )
    problems = [
        said("{claim}: {problem}", claim="/".join(key), problem=each["problem"])
        for key, each in told.answer.items()
        if each["problem"]
    ]
    down = ["/".join(key) for key, each in told.answer.items() if each.get("status", "up") not in ("up", "")]
    if not problems and not down:
        used = to_text(sum(each.get("used") or 0 for each in told.answer.values()))
        return passed(
            code,
            TITLES[code],
            counted(
                len(told.answer),
                "{n} volume is up, with {used} in it.",
                "{n} volumes are up, with {used} in them.",
                used=used,
            ),
        )
    words = [said("These volumes are not up: {volumes}.", volumes=listed(down))] if down else []
    return Result(code, Verdict.WARNING, TITLES[code], sentences(*words, *problems), tuple(down))
