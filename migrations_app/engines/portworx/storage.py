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
from migrations_app.engines.sides import Side
from migrations_app.resources.preflight.result import Result, Verdict, listed, passed
from migrations_app.resources.quantities import to_text

Object = dict[str, Any]
TITLES = {
    "portworx-licence": "The licence of Portworx",
    "portworx-volumes": "The volumes, as Portworx has them",
}


@dataclass(frozen=True)
class Said[T]:
    """What came of a question to Portworx: an answer, or what kept it from answering and what to do."""

    answer: T | None
    trouble: str = ""
    remedy: str = ""


def asked[T](connection: Connection, question: Callable[[Portworx], T]) -> Said[T]:
    """The answer of the cluster's Portworx. Nothing is raised: no migration depends on what it says here."""
    try:
        return Said(question(pods.find(connection)))
    except PortworxError as error:
        return Said(None, error.message, error.remedy)
    except errors.Forbidden as error:
        return Said(None, error.message, "Allow the account the verb create on pods/exec in the namespace of Portworx.")
    except errors.KubeError as error:
        return Said(None, error.message)


def licence_allows(connection: Connection, side: Side) -> Said[bool]:
    """Whether the licence of the side's Portworx lets it migrate."""
    name = str(side.cluster.portworx.get("licence") or "")
    said = asked(connection, lambda portworx: discovery.licence_allows(portworx, name))
    trouble, remedy = said.trouble, said.remedy
    if said.answer is None and not trouble:
        trouble, remedy = "pxctl license list does not speak of migrations.", "Look at the licence by hand."
    return Said(said.answer, trouble, remedy)


def licence_check(said: dict[Side, Said[bool]]) -> Result:
    """What the licences of both sides come to."""
    code = "portworx-licence"
    refused = [side for side, each in said.items() if each.answer is False]
    unknown = {side: each for side, each in said.items() if each.answer is None}
    if refused:
        names = " and ".join(
            f"{side} ({side.cluster.portworx.get('licence') or 'its name is unknown'})" for side in refused
        )
        return Result(
            code,
            Verdict.FAILURE,
            TITLES[code],
            f"The licence of Portworx does not allow migrations on the {names}.",
            why="Portworx refuses each volume when its turn comes.",
            remedy="Install one with “Cluster-level migration”, or use a pair of the native engine.",
            command="pxctl license list",
        )
    if unknown:
        return Result(
            code,
            Verdict.WARNING,
            TITLES[code],
            "Not known. " + " ".join(f"The {side}: {each.trouble}" for side, each in unknown.items()),
            remedy=" ".join(dict.fromkeys(each.remedy for each in unknown.values() if each.remedy)),
        )
    return passed(code, TITLES[code], "The licences of both clusters allow migrations.")


def facts_of(connection: Connection, side: Side, claims: Iterable[Object]) -> Said[dict[tuple[str, str], Object]]:
    """By namespace and name of each claim, what `pxctl volume inspect` says of its volume, or its `problem`."""
    wanted = [volumes.claim_of(each) for each in claims]
    said = asked(connection, lambda portworx: volumes.inspect(portworx, connection, wanted))
    nodes = side.cluster.portworx.get("nodes") or ()
    found = {
        (claim.namespace, claim.name): {**volumes.facts(claim, nodes), "problem": claim.problem} for claim in wanted
    }
    return Said(None if said.trouble else found, said.trouble, said.remedy)


def volumes_check(said: Said[dict[tuple[str, str], Object]]) -> Result:
    """Whether all volumes are up, so that Portworx can move them."""
    code = "portworx-volumes"
    if said.answer is None:
        return Result(code, Verdict.WARNING, TITLES[code], f"Not known. {said.trouble}", remedy=said.remedy)
    problems = [f"{'/'.join(key)}: {each['problem']}" for key, each in said.answer.items() if each["problem"]]
    down = ["/".join(key) for key, each in said.answer.items() if each.get("status", "up") not in ("up", "")]
    if not problems and not down:
        used = to_text(sum(each.get("used") or 0 for each in said.answer.values()))
        return passed(code, TITLES[code], f"{len(said.answer)} volumes are up, with {used} in them.")
    words = [f"These volumes are not up: {listed(down)}."] if down else []
    return Result(code, Verdict.WARNING, TITLES[code], " ".join([*words, *problems]), tuple(down))
