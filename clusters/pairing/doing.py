"""Setting a pair up, and validating one: rows 1 to 9 of doing it by hand, in order.

Setting up makes and repairs, validating only looks. Each step can be repeated: it finds what an earlier look has done.
"""

from __future__ import annotations

from functools import partial

from clusters import pair_services
from clusters.pairing import hearing, keeping_keys, reading, writing
from clusters.pairing.jobs import Progress
from clusters.pairing.steps import BACK, FORTH, Code
from clusters.pairing.work import Look, StepFunction, Work, run


def perform(progress: Progress) -> float | None:
    """One look; the seconds until the next, None when the job is over."""
    both = progress.pairing.both_directions
    with Work(progress.pairing) as work:
        if progress.is_done(Code.APPLIED) and (not both or progress.is_done(Code.APPLIED_BACK)):
            codes = (Code.STATUS, *((Code.STATUS_BACK,) if both else ()))
        else:
            codes = (*FORTH, *(BACK if both else ()))
        steps = _steps(Look(progress, work))
        again = run(progress, work, [(code, steps[code]) for code in codes])
    if again is None:
        # Both ends were looked at anew; what the pair's checks say comes from there.
        pair_services.keep_checks(progress.pairing.pair)
    return again


def _steps(look: Look) -> dict[Code, StepFunction]:
    """Each step by its code."""
    forth, back = look.work.forth, look.work.back
    return {
        Code.CLUSTERS: partial(reading.clusters, look),
        Code.UUID: partial(reading.uuid, look),
        Code.CREDENTIALS_DESTINATION: partial(keeping_keys.credentials, look, forth.target, forth),
        Code.CREDENTIALS_SOURCE: partial(keeping_keys.credentials, look, forth.origin, forth),
        Code.TOKEN: partial(reading.token, look, forth),
        Code.ENDPOINT: partial(reading.endpoint, look, forth),
        Code.DOCUMENT: partial(writing.document, look, forth),
        Code.APPLIED: partial(writing.applied, look, forth),
        Code.STATUS: partial(hearing.status, look, forth),
        Code.CREDENTIALS_DESTINATION_BACK: partial(keeping_keys.credentials, look, back.target, back),
        Code.CREDENTIALS_SOURCE_BACK: partial(keeping_keys.credentials, look, back.origin, back),
        Code.TOKEN_BACK: partial(reading.token, look, back),
        Code.ENDPOINT_BACK: partial(reading.endpoint, look, back),
        Code.APPLIED_BACK: partial(writing.applied, look, back),
        Code.STATUS_BACK: partial(hearing.status, look, back),
    }
