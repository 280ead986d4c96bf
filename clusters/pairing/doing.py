"""The steps of setting a pair up, and of validating one; both are rows 1 to 9 of doing it by hand.

Setting up makes and repairs, validating only looks. Each step can be repeated: it finds what an earlier look has done.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from clusters import services
from clusters.kube import errors
from clusters.models import Cluster, PairingJob
from clusters.pairing.jobs import FOLLOW, Progress
from clusters.pairing.objects import differences, ensure_namespace, is_as_wanted, token_of, wait_until_gone, ways_to
from clusters.pairing.steps import BACK, FORTH, Code, Outcome, State
from clusters.pairing.work import MANAGED_BY, Side, StepFunction, Way, Work, is_ours, run
from clusters.portworx import (
    backuplocation,
    clusterpair,
    credentials,
    discovery,
    endpoint,
    following,
    pxctl,
)
from clusters.portworx.following import Meaning, PairState

FOLLOW_SECONDS = 3.0


def perform(progress: Progress) -> float | None:
    """One look; the seconds until the next, None when the job is over."""
    with Work(progress.pairing) as work:
        steps = Steps(progress, work)
        if progress.is_done(Code.APPLIED) and not progress.pairing.both_directions:
            plan = [(Code.STATUS, steps.all()[Code.STATUS])]
        elif progress.pairing.both_directions and progress.is_done(Code.APPLIED_BACK):
            plan = [(code, steps.all()[code]) for code in (Code.STATUS, Code.STATUS_BACK)]
        else:
            wanted = [*FORTH, *(BACK if progress.pairing.both_directions else ())]
            plan = [(code, steps.all()[code]) for code in wanted]
        again = run(progress, work, plan)
    if again is None:
        # Both ends were looked at anew; what the pair's checks say comes from there.
        services.keep_pair_checks(progress.pairing.pair)
    return again


class Steps:
    """The steps of one look, over what it has at hand."""

    def __init__(self, progress: Progress, work: Work) -> None:
        self.progress = progress
        self.work = work
        self.pairing = progress.pairing
        self.repairs = progress.pairing.job == PairingJob.SET_UP

    def all(self) -> dict[Code, StepFunction]:
        """Each step by its code."""
        forth, back = self.work.forth, self.work.back
        return {
            Code.CLUSTERS: self.clusters,
            Code.UUID: self.uuid,
            Code.CREDENTIALS_DESTINATION: partial(self.credentials, forth.target, forth),
            Code.CREDENTIALS_SOURCE: partial(self.credentials, forth.origin, forth),
            Code.TOKEN: partial(self.token, forth),
            Code.ENDPOINT: partial(self.endpoint, forth),
            Code.DOCUMENT: partial(self.document, forth),
            Code.APPLIED: partial(self.applied, forth),
            Code.STATUS: partial(self.status, forth),
            Code.CREDENTIALS_DESTINATION_BACK: partial(self.credentials, back.target, back),
            Code.CREDENTIALS_SOURCE_BACK: partial(self.credentials, back.origin, back),
            Code.TOKEN_BACK: partial(self.token, back),
            Code.ENDPOINT_BACK: partial(self.endpoint, back),
            Code.APPLIED_BACK: partial(self.applied, back),
            Code.STATUS_BACK: partial(self.status, back),
        }

    # -- row 1 and 3

    def clusters(self) -> Outcome:
        """Both have a Portworx and a Stork that can migrate, and are not one and the same."""
        words = []
        for side in (self.work.source, self.work.destination):
            found = side.installation = discovery.discover(side.connection)
            Cluster.objects.filter(pk=side.cluster.pk).update(portworx=found.to_dict())
            side.cluster.portworx = found.to_dict()
            if not found.can_migrate():
                bad = [each for each in discovery.checks(found) if each.status != "ok"]
                message = bad[0].message if bad else _("There is no Portworx here.")
                remedy = bad[0].remedy if bad else _("Install Portworx and Stork, or use the native engine.")
                return Outcome(State.FAILURE, f"{side.cluster.name}: {message}", remedy)
            words.append(
                _("{side}: Portworx {version}, Stork {stork_version}").format(
                    side=side.cluster.name, version=found.version, stork_version=found.stork.version
                )
            )
        if self.work.source.uuid == self.work.destination.uuid:
            message = _("Source and destination are one Portworx cluster.")
            return Outcome(State.FAILURE, message, _("A pair needs two. Choose another destination."))
        return Outcome(State.OK, "; ".join(words) + ".")

    def uuid(self) -> Outcome:
        """The UUID that names the credentials."""
        return Outcome(State.OK, self.work.destination.uuid)

    # -- row 4

    def credentials(self, side: Side, way: Way) -> Outcome:
        """The object store's keys on one side, under the name that Portworx looks for."""
        if self.pairing.with_backup_location:
            return self._backup_location(side, way)
        name = credentials.name_for(way.target.uuid)
        if not self.repairs:
            if credentials.named(side.portworx, name) is None:
                found = credentials.listed(side.portworx)
                others = ", ".join(each.name for each in found if each.name.startswith("clusterPair_"))
                return Outcome(
                    State.FAILURE,
                    (
                        _("There are no credentials {name}; there are {others}.")
                        if others
                        else _("There are no credentials {name}.")
                    ).format(name=name, others=others),
                    _("Set the pair up: Portworx finds them only under exactly this name."),
                    cause=following.Cause.CREDENTIAL_NAME,
                )
            credentials.validate(side.portworx, name)
            return Outcome(State.OK, _("{name} is there, and the object store accepts it.").format(name=name))
        replace = bool(self.pairing.job_options.get("replace_credentials"))
        made = credentials.ensure(side.portworx, name, self.work.keys, replace=replace)
        words = {
            "made": _("{name} was made; the object store accepts it."),
            "kept": _("{name} was there already; the object store accepts it."),
            "replaced": _("{name} was replaced; the object store accepts it."),
        }
        return Outcome(State.OK, words[made].format(name=name))

    def _backup_location(self, side: Side, way: Way) -> Outcome:
        name, namespace = self.pairing.location_name, self.pairing.namespace
        if not self.repairs:
            side.connection.get(backuplocation.RESOURCE, name, namespace)
            side.connection.get("secrets", name, namespace)
            return Outcome(
                State.OK,
                _("BackupLocation and Secret {namespace}/{name} are there.").format(namespace=namespace, name=name),
            )
        ensure_namespace(side, namespace, may_make=side is self.work.destination)
        backuplocation.ensure(side.connection, name, namespace, self.work.keys)
        return Outcome(
            State.OK,
            _("BackupLocation and Secret {namespace}/{name} are as wanted.").format(namespace=namespace, name=name),
        )

    # -- row 5 and 6

    def token(self, way: Way) -> Outcome:
        """The token is read anew each time and kept nowhere but in the ClusterPair."""
        way.token = pxctl.token(way.target.portworx.pxctl("cluster", "token", "show"))
        if not self.repairs:
            kept = token_of(way, self.pairing.namespace)
            if kept and kept != way.token:
                return Outcome(
                    State.WARNING,
                    _(
                        "{target} has another token than the one in the ClusterPair. "
                        "Stork does not notice as long as the pair is Ready."
                    ).format(target=way.target.cluster.name),
                    _("Set the pair up again, so that it gets the new token."),
                    cause=following.Cause.TOKEN,
                )
        return Outcome(State.OK, _("{number} characters; it is not kept here.").format(number=len(way.token)))

    def endpoint(self, way: Way) -> Outcome:
        """Where the target's Portworx is reached, tried from the origin's."""
        pairing = self.pairing
        # What was typed in by hand is the destination's; the way back has to find its own.
        host, port = ("", None) if way.is_back else (pairing.endpoint_host, pairing.endpoint_port)
        kind = endpoint.Kind(pairing.endpoint_kind) if pairing.endpoint_kind else None
        found = ways_to(way, is_needed=not host)
        taken = endpoint.take(way.origin.portworx, endpoint.choices(found, kind=kind, host=host, port=port))
        way.endpoint, reach = taken.endpoint, taken.reach
        if not way.is_back:
            rows = [{"kind": each.kind.value, "host": each.host, "port": each.port} for each in found]
            self.progress.keep(endpoint=str(way.endpoint), endpoint_reason=taken.reason[:1000], endpoints=rows)
        if reach.reached is False:
            _cause, remedy = following.cause_of("connection refused")
            message = _("{endpoint} cannot be reached from {origin}. {reason}").format(
                endpoint=way.endpoint, origin=way.origin.cluster.name, reason=taken.reason
            )
            return Outcome(State.FAILURE, message, remedy, reach.message, following.Cause.ENDPOINT)
        if reach.reached is None:
            message = f"{way.endpoint}: {reach.message} {taken.reason}"
            return Outcome(State.WARNING, message, _("Stork's pairing will show it."))
        return Outcome(
            State.OK,
            _("{endpoint} ({kind}) answers. {reason}").format(
                endpoint=way.endpoint, kind=way.endpoint.kind.value, reason=taken.reason
            ),
        )

    # -- row 7 and 8

    def document(self, way: Way) -> Outcome:
        """The ClusterPair as `storkctl generate clusterpair` writes it, with its options."""
        assert way.endpoint is not None
        way.document = clusterpair.generate(
            way.target.cluster.kubeconfig,
            name=way.name,
            namespace=self.pairing.namespace,
            origin=f"{way.target.cluster.name}.kubeconfig",
            options=clusterpair.options_for(
                host=way.endpoint.host,
                port=way.endpoint.port,
                token=way.token,
                mode=self.pairing.mode,
                backup_location=self.pairing.location_name,
            ),
        )
        way.document["metadata"]["labels"] = dict(MANAGED_BY)
        return Outcome(
            State.OK,
            _("ClusterPair {namespace}/{name} for {target}.").format(
                namespace=self.pairing.namespace, name=way.name, target=way.target.cluster.name
            ),
        )

    def applied(self, way: Way) -> Outcome:
        """The ClusterPair on the origin, as wanted."""
        connection, namespace = way.origin.connection, self.pairing.namespace
        if way.is_back:
            self.document(way)
        try:
            present = connection.get(clusterpair.RESOURCE, way.name, namespace)
        except errors.NotFound:
            present = None
        is_others = present is not None and not is_ours(present)
        if not way.is_back:
            self.progress.keep(made_by_others=is_others)
        if not self.repairs:
            return self._looked_at(present, way)
        options = self.pairing.job_options
        if is_others and not options.get("take_over"):
            return Outcome(
                State.FAILURE,
                _("ClusterPair {namespace}/{name} on {origin} was made by others.").format(
                    namespace=namespace, name=way.name, origin=way.origin.cluster.name
                ),
                _("Set the pair up and say that it is taken over, or choose another name in the pair's settings."),
                cause=following.Cause.OTHERS,
            )
        ensure_namespace(way.origin, namespace, may_make=way.is_back)
        wanted = clusterpair.to_apply(way.document)
        # Portworx may hold on to credentials that were deleted, so that new ones want a new pair.
        is_stale = bool(options.get("replace_credentials"))
        if present is not None and not is_others and not is_stale and is_as_wanted(present, wanted):
            return Outcome(
                State.OK,
                _("ClusterPair {namespace}/{name} is there as wanted.").format(namespace=namespace, name=way.name),
            )
        if present is not None and (present.get("status") or {}).get("storageStatus") == following.READY:
            # Stork never pairs again what was Ready once; a new token or address needs a new object.
            connection.delete(clusterpair.RESOURCE, way.name, namespace, uid=present["metadata"]["uid"])
            wait_until_gone(way, namespace)
        connection.apply(wanted, force=True)
        verb = _("created") if present is None else _("changed")
        return Outcome(
            State.OK,
            _("ClusterPair {namespace}/{name} {verb} on {origin}.").format(
                namespace=namespace, name=way.name, verb=verb, origin=way.origin.cluster.name
            ),
        )

    def _looked_at(self, present: dict[str, Any] | None, way: Way) -> Outcome:
        """Whether what is there leads where the pair says, as the pair says."""
        named = f"ClusterPair {self.pairing.namespace}/{way.name}"
        if present is None:
            message = _("There is no {named} on {origin}.").format(named=named, origin=way.origin.cluster.name)
            return Outcome(State.FAILURE, message, _("Set the pair up."))
        server = following.state_of(present).server
        if server != way.target.connection.server:
            message = _("{named} leads to {server}.").format(named=named, server=server or _("no API server"))
            remedy = _("The pair's destination is at {server}. Set the pair up, or choose its own.").format(
                server=way.target.connection.server
            )
            return Outcome(State.WARNING, message, remedy)
        whose = "" if is_ours(present) else " " + _("It was made by others.")
        if different := differences(present, way.document):
            message = _("{named} is not as the pair says: {differences}.{whose}").format(
                named=named, differences=", ".join(different), whose=whose
            )
            return Outcome(
                State.WARNING, message, _("Set the pair up to write it anew, or change the pair's settings.")
            )
        return Outcome(
            State.OK,
            _("{named} is on {origin}.{whose}").format(named=named, origin=way.origin.cluster.name, whose=whose),
        )

    # -- row 9

    def status(self, way: Way) -> Outcome:
        """What Stork says, in plain words; looked at again until both are Ready."""
        state = following.read(way.origin.connection, way.name, self.pairing.namespace)
        prefix = "back_" if way.is_back else ""
        fields = {f"{prefix}storage_status": state.storage_status, f"{prefix}scheduler_status": state.scheduler_status}
        if not way.is_back:
            fields["remote_storage_id"] = state.remote_storage_id
        self.progress.keep(looked_at=timezone.now(), **fields)
        if not state.exists:
            return Outcome(State.FAILURE, _("The ClusterPair is not there any more."), _("Set the pair up again."))
        if state.is_ready():
            return Outcome(State.OK, _("Storage and scheduler are Ready."))
        worst = _worst(state)
        is_over = not self.repairs or self.progress.elapsed() > FOLLOW
        kind = State(worst.state) if worst.state != "ok" else State.WAITING
        if worst.state == "waiting" and is_over:
            kind = State.WARNING
        if worst.cause == following.Cause.NO_OPTIONS and not is_over:
            kind = State.WAITING
        words = _("Storage: {storage}, scheduler: {scheduler}.").format(
            storage=state.storage_status or _("blank"), scheduler=state.scheduler_status or _("blank")
        )
        return Outcome(
            kind,
            f"{words} {worst.message}",
            worst.remedy,
            worst.said,
            worst.cause or "",
            again=None if is_over else FOLLOW_SECONDS,
        )


ORDER = ("failure", "warning", "waiting", "ok")


def _worst(state: PairState) -> Meaning:
    created = parse_datetime(state.created_at) if state.created_at else None
    waited = (timezone.now() - created).total_seconds() if created else 0.0
    meanings = [
        following.storage_meaning(state, waited=waited),
        following.scheduler_meaning(state, waited=waited),
    ]
    return min(meanings, key=lambda each: ORDER.index(each.state))
