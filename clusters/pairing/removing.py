"""The steps of taking a pair down on its clusters, and of forgetting it afterwards if that was asked."""

from __future__ import annotations

from functools import partial

from audit.actor import Actor
from clusters import pair_services
from clusters.pairing.jobs import FOLLOW, Progress, codes_of
from clusters.pairing.steps import Code, Outcome, State
from clusters.pairing.work import StepFunction, Way, Work, run
from clusters.portworx import backuplocation, clusterpair, credentials, discovery, following
from clusters.portworx.ownership import is_ours
from clusters.texts import said
from teams.refusals import Refusal

WAIT_SECONDS = 2.0


def perform(progress: Progress) -> float | None:
    """One look; the seconds until the next, None when the job is over."""
    pairing = progress.pairing
    with Work(pairing) as work:
        functions: dict[Code, StepFunction] = {
            Code.OBJECT: partial(_delete_object, progress, work.forth),
            Code.OBJECT_BACK: partial(_delete_object, progress, work.back),
            Code.LOCATION: partial(_delete_locations, work),
            Code.CREDENTIALS: partial(_delete_credentials, work),
        }
        codes = codes_of(pairing, pairing.job, pairing.job_options)
        again = run(progress, work, [(code, functions[code]) for code in codes])
    if again is not None:
        return again
    pair_services.keep_checks(pairing.pair)
    if pairing.job_options.get("forget") and all(step.state == State.OK for step in progress.steps.values()):
        _forget(progress, codes[0])
    return None


def _forget(progress: Progress, code: Code) -> None:
    try:
        pair_services.remove(progress.pairing.pair, by=Actor(user=progress.pairing.requested_by))
    except Refusal as refusal:
        message = said("Everything is deleted on the clusters, but the pair itself is kept: {refusal}", refusal=refusal)
        progress.end(code, Outcome(State.WARNING, message))


def _delete_object(progress: Progress, way: Way) -> Outcome:
    """The ClusterPair is deleted, and waited for: Stork undoes the pairing of the storage before it lets it go."""
    namespace = progress.pairing.namespace
    where = said(
        "ClusterPair {namespace}/{name} on {origin}", namespace=namespace, name=way.name, origin=way.origin.cluster.name
    )
    present = way.origin.connection.list(clusterpair.RESOURCE, namespace, field_selector=f"metadata.name={way.name}")
    for row in present:
        if not is_ours(row) and progress.pairing.job_options.get("named") != str(progress.pairing):
            if not way.is_back:
                progress.keep(made_by_others=True)
            return Outcome(
                State.FAILURE,
                said("{where} was made by others, and stays.", where=where),
                said("Take the pair down with the name {pairing} to delete it all the same.", pairing=progress.pairing),
                cause=following.Cause.OTHERS,
            )
        way.origin.connection.delete(clusterpair.RESOURCE, way.name, namespace, uid=row["metadata"]["uid"])
    state = following.read(way.origin.connection, way.name, namespace)
    if state.exists:
        words = next((each.message for each in reversed(state.events) if each.reason == "Deleting"), "")
        if progress.elapsed() > FOLLOW:
            remedy = said("Look at Stork's log there: it has to take its finalizer off.")
            return Outcome(State.FAILURE, said("{where} is still being deleted.", where=where), remedy, words)
        return Outcome(State.WAITING, said("{where} is being deleted.", where=where), said=words, again=WAIT_SECONDS)
    if way.is_back:
        progress.keep(back_storage_status="", back_scheduler_status="")
    else:
        progress.keep(storage_status="", scheduler_status="", remote_storage_id="")
    return Outcome(State.OK, said("{where} is gone.", where=where))


def _delete_locations(work: Work) -> Outcome:
    name, namespace = work.pairing.location_name, work.pairing.namespace
    left = [
        said(
            "{kind} {namespace}/{name} on {cluster}",
            kind=kind,
            namespace=namespace,
            name=name,
            cluster=side.cluster.name,
        )
        for side in (work.source, work.destination)
        for kind in backuplocation.delete(side.connection, name, namespace)
    ]
    if left:
        return Outcome(State.OK, said("Made by others, and left alone: {objects}.", objects=left))
    return Outcome(State.OK, said("Secret and BackupLocation are gone on both clusters."))


def _delete_credentials(work: Work) -> Outcome:
    """Credentials serve every pair with the same destination: they go with the last one."""
    words = []
    for way in (work.forth, *([work.back] if work.pairing.both_directions else [])):
        uuid = discovery.read_status(way.target.portworx).uuid
        name = credentials.name_for(uuid)
        if users := _users(way, uuid):
            words.append(said("{name} stays, for {users} uses it too", name=name, users=users))
            continue
        for side in (way.target, way.origin):
            credentials.delete(side.portworx, name)
        words.append(said("{name} is gone on both clusters", name=name))
    return Outcome(State.OK, said("{both}.", both=words))


def _users(way: Way, uuid: str) -> str:
    """Another ClusterPair on the origin that needs the credentials; empty without one."""
    for row in way.origin.connection.list(clusterpair.RESOURCE):
        if (row.get("status") or {}).get("remoteStorageId") == uuid:
            return f"ClusterPair {row['metadata']['namespace']}/{row['metadata']['name']}"
    return ""
