"""The object store's keys for a pair: as credentials of Portworx, or in a BackupLocation, on both clusters."""

from __future__ import annotations

from clusters.pairing.objects import ensure_namespace
from clusters.pairing.steps import Outcome, State
from clusters.pairing.work import Look, Side, Way
from clusters.portworx import backuplocation, following
from clusters.portworx import credentials as kept
from clusters.texts import said


def credentials(look: Look, side: Side, way: Way) -> Outcome:
    """The object store's keys on one side, under the name that Portworx looks for."""
    if look.pairing.with_backup_location:
        return _backup_location(look, side)
    name = kept.name_for(way.target.uuid)
    if not look.repairs:
        if kept.named(side.portworx, name) is None:
            found = kept.listed(side.portworx)
            others = [each.name for each in found if each.name.startswith("clusterPair_")]
            return Outcome(
                State.FAILURE,
                said("There are no credentials {name}; there are {others}.", name=name, others=others)
                if others
                else said("There are no credentials {name}.", name=name),
                said("Set the pair up: Portworx finds them only under exactly this name."),
                cause=following.Cause.CREDENTIAL_NAME,
            )
        kept.validate(side.portworx, name)
        return Outcome(State.OK, said("{name} is there, and the object store accepts it.", name=name))
    replace = bool(look.pairing.job_options.get("replace_credentials"))
    made = kept.ensure(side.portworx, name, look.work.keys, replace=replace)
    words = {
        "made": said("{name} was made; the object store accepts it.", name=name),
        "kept": said("{name} was there already; the object store accepts it.", name=name),
        "replaced": said("{name} was replaced; the object store accepts it.", name=name),
    }
    return Outcome(State.OK, words[made])


def _backup_location(look: Look, side: Side) -> Outcome:
    name, namespace = look.pairing.location_name, look.pairing.namespace
    if not look.repairs:
        missing, others = backuplocation.differences(side.connection, name, namespace, look.work.keys)
        if missing:
            objects = [f"{kind} {namespace}/{name}" for kind in missing]
            return Outcome(
                State.FAILURE,
                said("Missing here: {objects}.", objects=objects),
                said("Set the pair up: Portworx reads the object store's keys there."),
                cause=following.Cause.CREDENTIAL_NAME,
            )
        if others:
            objects = [f"{kind} {namespace}/{name}" for kind in others]
            return Outcome(
                State.WARNING,
                said(
                    "Another store or other keys than those of the pair's object store are in {objects}.",
                    objects=objects,
                ),
                said("Set the pair up to write the object store's keys there, or give the pair that object store."),
            )
        return Outcome(
            State.OK,
            said("BackupLocation and Secret {namespace}/{name} are there.", namespace=namespace, name=name),
        )
    ensure_namespace(side, namespace, may_make=side is look.work.destination)
    take_over = bool(look.pairing.job_options.get("take_over"))
    try:
        backuplocation.ensure(side.connection, name, namespace, look.work.keys, take_over=take_over)
    except backuplocation.OthersError as error:
        return _left_alone(error, f"{error.kind} {namespace}/{name}")
    return Outcome(
        State.OK,
        said("BackupLocation and Secret {namespace}/{name} are as wanted.", namespace=namespace, name=name),
    )


def _left_alone(error: backuplocation.OthersError, which: str) -> Outcome:
    message = said("{which} was made by others and holds something else. Nothing was overwritten.", which=which)
    if error.is_for_a_pair:
        remedy = said("Set the pair up and say that it is taken over, or choose another name in the pair's settings.")
        return Outcome(State.FAILURE, message, remedy, cause=following.Cause.OTHERS)
    remedy = said("Give the ClusterPair another name in the pair's settings, or delete that object if nobody uses it.")
    return Outcome(State.FAILURE, message, remedy, cause=following.Cause.NAME_TAKEN)
