"""One job at a time per pair: somebody asks for it, workers look until it is over.

A look takes the pair's lease, goes through the steps from the first, each of them repeatable, and keeps after each what
came of it. Whoever dies after any line leaves a lease that runs out; the next look begins anew and finds done what was
done. A new request takes the lease away: the look that runs notices before it writes again, and stops.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair, Engine, PairingJob, PortworxPairing
from clusters.pairing import steps
from clusters.pairing.steps import Code, Outcome, State, Step
from clusters.texts import said
from teams.refusals import Conflict, Refusal

logger = logging.getLogger(__name__)

# Longer than any single step may take: pxctl is given a minute.
LEASE = timedelta(minutes=2)
# Stork tries again by itself; so long it is watched.
FOLLOW = timedelta(minutes=10)
PAUSE_SECONDS = 10.0
# How often a cluster that does not answer is asked again before the job gives up.
ATTEMPTS = 4


class LeaseLostError(RuntimeError):
    """Somebody asked for another job, or our lease had run out: stop, and write nothing more."""


def request(pair: ClusterPair, job: PairingJob, *, by: Actor, **options: Any) -> PortworxPairing:
    """Ask for a job; it begins at once, instead of what was under way. Raises Refusal and Conflict."""
    pairing = pairing_of(pair)
    if job == PairingJob.TEAR_DOWN and pair.migrations.filter(finished_at=None).exists():
        raise Conflict(
            _("Migrations over pair %(name)s are under way. Cancel them, or wait for their end.") % {"name": pair.name}
        )
    now = timezone.now()
    with transaction.atomic():
        PortworxPairing.objects.filter(pk=pairing.pk).update(
            job=job,
            job_options=options,
            steps=[Step(code).to_dict() for code in codes_of(pairing, job, options)],
            failures=0,
            requested_by=by.user,
            started_at=now,
            finished_at=None,
            next_look_at=now,
            lease_token=None,
            lease_expires_at=None,
        )
        record(by, f"pair.{job.value}", pair, after={"clusterpair": str(pairing), **options})
    pairing.refresh_from_db()
    return pairing


def pairing_of(pair: ClusterPair) -> PortworxPairing:
    """The Portworx part of the pair. Raises Refusal for pairs of another engine."""
    found: PortworxPairing | None = getattr(pair, "portworx", None)
    if found is None or pair.engine != Engine.PORTWORX:
        raise Refusal(_("Pair %(name)s is not of the engine portworx.") % {"name": pair.name})
    return found


def codes_of(pairing: PortworxPairing, job: str, options: dict[str, Any]) -> list[Code]:
    """The steps of a job, in order."""
    if job == PairingJob.TEAR_DOWN:
        found = [Code.OBJECT, *([Code.OBJECT_BACK] if pairing.both_directions else [])]
        found += [Code.LOCATION] if pairing.with_backup_location else []
        return found + ([Code.CREDENTIALS] if options.get("credentials") else [])
    return [*steps.FORTH, *(steps.BACK if pairing.both_directions else ())]


def due() -> list[int]:
    """The pairs on which somebody has to look now."""
    now = timezone.now()
    free = Q(lease_token=None) | Q(lease_expires_at__lt=now)
    return list(PortworxPairing.objects.filter(free, next_look_at__lte=now).values_list("pk", flat=True))


class Progress:
    """How far a look has come. Every write goes through the lease, which it extends."""

    def __init__(self, pairing: PortworxPairing, token: uuid.UUID) -> None:
        self.pairing = pairing
        self._token = token
        self.steps = {step.code: step for step in steps.from_rows(pairing.steps)}

    def keep(self, **fields: Any) -> None:
        """Write columns of the pairing. Raises LeaseLostError."""
        now = timezone.now()
        kept = PortworxPairing.objects.filter(pk=self.pairing.pk, lease_token=self._token).update(
            lease_expires_at=now + LEASE, **fields
        )
        if not kept:
            raise LeaseLostError(f"the lease of pairing {self.pairing.pk} was taken over")
        for name, value in fields.items():
            setattr(self.pairing, name, value)

    def begin(self, code: Code) -> None:
        """Say that the step is being done."""
        self.steps[code].state = State.RUNNING
        self._keep_steps()

    def end(self, code: Code, outcome: Outcome) -> None:
        """Keep what came of the step."""
        self.steps[code] = Step(
            code,
            outcome.state,
            outcome.message,
            outcome.remedy,
            outcome.said,
            outcome.cause,
            timezone.now().isoformat(timespec="seconds"),
        )
        self._keep_steps()

    def is_done(self, code: Code) -> bool:
        """Whether an earlier look of this job has done the step."""
        return self.steps[code].state in (State.OK, State.WARNING)

    def skip_rest(self) -> None:
        """What was not reached will not be done."""
        for step in self.steps.values():
            if step.state in (State.WAITING, State.RUNNING):
                step.state = State.SKIPPED
        self._keep_steps()

    def _keep_steps(self) -> None:
        self.keep(steps=[step.to_dict() for step in self.steps.values()])

    def elapsed(self) -> timedelta:
        """Since somebody asked for the job."""
        return timezone.now() - (self.pairing.started_at or timezone.now())


@contextmanager
def _taken(pk: int) -> Iterator[uuid.UUID | None]:
    now, token = timezone.now(), uuid.uuid4()
    free = Q(lease_token=None) | Q(lease_expires_at__lt=now)
    got = PortworxPairing.objects.filter(free, pk=pk, finished_at=None, next_look_at__isnull=False).update(
        lease_token=token, lease_expires_at=now + LEASE, next_look_at=now + LEASE
    )
    yield token if got else None


def look(pk: int) -> None:
    """One look at one pair: as many steps as can be taken now."""
    from clusters.pairing import doing, removing

    with _taken(pk) as token:
        if token is None:
            return
        pairing = PortworxPairing.objects.select_related(
            "pair__team", "pair__source", "pair__destination", "pair__object_store", "requested_by"
        ).get(pk=pk)
        progress = Progress(pairing, token)
        perform = removing.perform if pairing.job == PairingJob.TEAR_DOWN else doing.perform
        try:
            again = _performed(progress, perform)
        except LeaseLostError:
            logger.info("pairing %s: somebody else goes on", pk)
            return
        _give_back(pairing, token, again)


def _performed(progress: Progress, perform: Callable[[Progress], float | None]) -> float | None:
    try:
        return perform(progress)
    except LeaseLostError:
        raise
    except Exception:
        logger.exception("pairing %s: a look failed", progress.pairing.pk)
        return _after_failure(progress)


def _after_failure(progress: Progress) -> float | None:
    failures = progress.pairing.failures + 1
    progress.keep(failures=failures)
    if failures < ATTEMPTS:
        return PAUSE_SECONDS
    for code, step in progress.steps.items():
        if step.state == State.RUNNING:
            message = said("Something unexpected happened here; the log of the worker says what.")
            progress.end(Code(code), Outcome(State.FAILURE, message, said("Try again.")))
    progress.skip_rest()
    return None


def _give_back(pairing: PortworxPairing, token: uuid.UUID, again: float | None) -> None:
    now = timezone.now()
    fields: dict[str, Any] = {"lease_token": None, "lease_expires_at": None, "next_look_at": None}
    if again is None:
        fields["finished_at"] = now
    else:
        fields["next_look_at"] = now + timedelta(seconds=again)
    PortworxPairing.objects.filter(pk=pairing.pk, lease_token=token).update(**fields)
