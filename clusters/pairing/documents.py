"""A pair for people to read: its steps with what one would type for each, and its ClusterPair, both without secrets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.kube import errors
from clusters.kube.kubeconfig import KubeconfigError
from clusters.models import Cluster, PortworxPairing
from clusters.pairing import steps
from clusters.pairing.steps import BACK, FORTH, Step
from clusters.pairing.work import Work
from clusters.portworx import by_hand, clusterpair, endpoint, pxctl
from clusters.portworx.credentials import AMAZON
from clusters.portworx.errors import PortworxError
from clusters.texts import sentences
from clusters.translation import translated
from teams.refusals import Refusal, Unavailable

PORTWORX_NAMESPACE = "kube-system"
UNKNOWN_HOST = "<load balancer>"
PORT = 9001


def steps_of(pairing: PortworxPairing) -> list[dict[str, Any]]:
    """Each step of the last job, or of setting up where there was none, with its commands by hand."""
    found = steps.from_rows(pairing.steps) or [Step(code) for code in _codes(pairing)]
    typed = commands_of(pairing)
    return [asdict(each) | {"title": str(each.title), "commands": typed.get(each.code, "")} for each in found]


def by_hand_of(pairing: PortworxPairing) -> list[dict[str, str]]:
    """The steps of setting up that one can type, in order: code, title and commands."""
    typed = commands_of(pairing)
    return [
        {"code": code.value, "title": str(Step(code).title), "commands": typed[code]}
        for code in _codes(pairing)
        if code in typed
    ]


def commands_of(pairing: PortworxPairing) -> dict[str, str]:
    """What one would type for each step, by its code; secrets are left to fill in."""
    pair = pairing.pair
    found = by_hand.commands(names_of(pairing))
    if pairing.both_directions:
        # Nobody has looked for the source's own endpoint yet when this is read.
        back = by_hand.commands(_names(pairing, pair.destination, pair.source, UNKNOWN_HOST, PORT))
        found |= {f"{code}-back": lines for code, lines in back.items()}
    return found


def masked_document(pairing: PortworxPairing) -> str:
    """The ClusterPair on the source as YAML, every secret masked; made from what is kept, no cluster is asked.

    Raises Refusal where the destination's kubeconfig cannot be read.
    """
    host, port = _endpoint_of(pairing)
    return clusterpair.to_yaml(clusterpair.masked(_document(pairing, host, port, clusterpair.MASK)))


def whole_document(pairing: PortworxPairing, *, by: Actor) -> str:
    """The same with its secrets, to be applied by hand: the destination is asked for its token, and for its address
    where none is known. That somebody took it is written into the history.

    Raises Refusal with the words of whatever keeps it from being made, and Unavailable.
    """
    with Work(pairing) as work:
        try:
            token = pxctl.token(work.destination.portworx.pxctl("cluster", "token", "show"))
            host, port = _endpoint_of(pairing)
            if host == UNKNOWN_HOST:
                found = endpoint.candidates(work.destination.connection, work.destination.portworx.namespace)
                kind = endpoint.Kind(pairing.endpoint_kind) if pairing.endpoint_kind else None
                best = endpoint.choices(found, kind=kind, port=pairing.endpoint_port)[0]
                host, port = best.host, best.port
        except PortworxError as error:
            raise Refusal(translated(sentences(error.message, error.remedy))) from None
        except errors.KubeError as error:
            raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(translated(error.message)) from None
    text = clusterpair.to_yaml(clusterpair.to_apply(_document(pairing, host, port, token)))
    record(by, "pair.download", pairing.pair, after={"clusterpair": str(pairing), "secrets": True})
    return text


def _document(pairing: PortworxPairing, host: str, port: int, token: str) -> dict[str, Any]:
    destination = pairing.pair.destination
    try:
        return clusterpair.generate(
            destination.kubeconfig,
            name=pairing.object_name,
            namespace=pairing.namespace,
            origin=f"{destination.name}.kubeconfig",
            options=clusterpair.options_for(
                host=host, port=port, token=token, mode=pairing.mode, backup_location=pairing.location_name
            ),
        )
    except KubeconfigError:
        raise Refusal(
            _("The kubeconfig of %(name)s cannot be read. Give the cluster a new one.") % {"name": destination.name}
        ) from None


def _codes(pairing: PortworxPairing) -> list[steps.Code]:
    return [*FORTH, *(BACK if pairing.both_directions else ())]


def _endpoint_of(pairing: PortworxPairing) -> tuple[str, int]:
    """Where the destination's Portworx is reached, as it was found, else as it was typed."""
    host, _colon, port = pairing.endpoint.rpartition(":")
    if host and port.isdigit():
        return host.strip("[]"), int(port)
    return pairing.endpoint_host or UNKNOWN_HOST, pairing.endpoint_port or PORT


def names_of(pairing: PortworxPairing) -> by_hand.Names:
    """What the commands of this pair name."""
    return _names(pairing, pairing.pair.source, pairing.pair.destination, *_endpoint_of(pairing))


def removal_of(pairing: PortworxPairing) -> list[dict[str, str]]:
    """What would stay on the clusters if only the pair here were removed, with the commands that take it away."""
    typed = commands_of(pairing)
    codes = [steps.Code.OBJECT, *([steps.Code.OBJECT_BACK] if pairing.both_directions else [])]
    codes.append(steps.Code.LOCATION if pairing.with_backup_location else steps.Code.CREDENTIALS)
    return [{"code": code.value, "title": str(Step(code).title), "commands": typed[code]} for code in codes]


def _names(pairing: PortworxPairing, source: Cluster, destination: Cluster, host: str, port: int) -> by_hand.Names:
    store = pairing.pair.object_store
    scheme, _separator, address = store.endpoint.partition("://")
    return by_hand.Names(
        source=source.name,
        destination=destination.name,
        namespace=pairing.namespace,
        name=pairing.object_name,
        source_px=source.portworx.get("namespace") or PORTWORX_NAMESPACE,
        destination_px=destination.portworx.get("namespace") or PORTWORX_NAMESPACE,
        uuid=destination.portworx.get("cluster_uuid") or "<UUID of the destination>",
        provider=store.provider,
        account=store.account,
        region=store.region,
        endpoint=address or AMAZON,
        bucket=store.bucket,
        disable_ssl=scheme == "http",
        host=host,
        port=port,
        mode=pairing.mode,
        location=pairing.location_name,
    )
