"""What Stork says of a pair's ClusterPair, in plain words, until both statuses are Ready."""

from __future__ import annotations

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from clusters.pairing.jobs import FOLLOW
from clusters.pairing.steps import Outcome, State
from clusters.pairing.work import Look, Way
from clusters.portworx import following
from clusters.portworx.following import Meaning, PairState
from clusters.texts import said, sentences

FOLLOW_SECONDS = 3.0
ORDER = ("failure", "warning", "waiting", "ok")


def status(look: Look, way: Way) -> Outcome:
    """What Stork says, in plain words; looked at again until both are Ready."""
    state = following.read(way.origin.connection, way.name, look.pairing.namespace)
    prefix = "back_" if way.is_back else ""
    fields = {f"{prefix}storage_status": state.storage_status, f"{prefix}scheduler_status": state.scheduler_status}
    if not way.is_back:
        fields["remote_storage_id"] = state.remote_storage_id
    look.progress.keep(looked_at=timezone.now(), **fields)
    if not state.exists:
        return Outcome(State.FAILURE, said("The ClusterPair is not there any more."), said("Set the pair up again."))
    if state.is_ready():
        return Outcome(State.OK, said("Storage and scheduler are Ready."))
    worst = _worst(state)
    is_over = not look.repairs or look.progress.elapsed() > FOLLOW
    kind = State(worst.state) if worst.state != "ok" else State.WAITING
    if worst.state == "waiting" and is_over:
        kind = State.WARNING
    if worst.cause == following.Cause.NO_OPTIONS and not is_over:
        kind = State.WAITING
    words = said(
        "Storage: {storage}, scheduler: {scheduler}.",
        storage=state.storage_status or said("blank"),
        scheduler=state.scheduler_status or said("blank"),
    )
    return Outcome(
        kind,
        sentences(words, worst.message),
        worst.remedy,
        worst.said,
        worst.cause or "",
        again=None if is_over else FOLLOW_SECONDS,
    )


def _worst(state: PairState) -> Meaning:
    created = parse_datetime(state.created_at) if state.created_at else None
    waited = (timezone.now() - created).total_seconds() if created else 0.0
    meanings = [
        following.storage_meaning(state, waited=waited),
        following.scheduler_meaning(state, waited=waited),
    ]
    return min(meanings, key=lambda each: ORDER.index(each.state))
