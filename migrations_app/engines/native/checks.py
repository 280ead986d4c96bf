"""The engine's own part of the preflight: namespaces, claims, and the power of its movers."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import ObjectStore
from clusters.texts import Text, as_it_is, counted, either, listed, said
from migrations_app.engines.claims import Claim, claims_in, users_of_claims
from migrations_app.engines.native import letting_in, manifests, privileges
from migrations_app.engines.native.wanted import Wanted
from migrations_app.engines.sides import Side
from migrations_app.resources import rules
from migrations_app.resources.collect import SILENT, Collected
from migrations_app.resources.marks import migration_of, named
from migrations_app.resources.preflight.context import Object, label
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.rules import RuleError
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import Suggestion

NAMESPACES = Check("namespaces", said("Namespaces"))
UNBOUND = Check("unbound-claims", said("Claims without data"))
KEYS = Check("mover-keys", said("Keys of the movers"))
POWER = Check("mover-privileges", said("Privileges of the movers"))
UNREAD = Check("collection", said("Objects that can be read"))
NAMES = Check("service-names", said("Names of Services in texts"))
RULES = Check("rules", said("Rules that change objects"))
IN_THE_WAY = Check("claims-in-the-way", said("Claims that are there already"))
Users = Mapping[str, list[Object]]


def namespaces(connection: Connection, side: Side, names: tuple[str, ...]) -> tuple[dict[str, Object], list[Result]]:
    """The source's namespaces by name, and what is wrong with them. Raises KubeError."""
    found, wrong = {}, []
    for name in names:
        try:
            namespace = connection.get("namespaces", name)
        except errors.Forbidden:
            # Told with all other permissions that are lacking.
            continue
        except errors.NotFound:
            wrong.append(
                NAMESPACES.failure(
                    said("The {side} has no namespace {name}.", side=side, name=name),
                    [f"Namespace {name}"],
                    remedy=_namespaces_like(connection, name),
                    command=f"{side.kubectl} get namespaces",
                )
            )
            continue
        if namespace["metadata"].get("deletionTimestamp"):
            wrong.append(_going(side, name, said("Choose another one, or make it anew once it is gone.")))
        found[name] = namespace
    return found, wrong


def _going(side: Side, name: str, remedy: Text) -> Result:
    return NAMESPACES.failure(
        said("The namespace {name} is being deleted on the {side}.", name=name, side=side),
        [f"Namespace {name}"],
        why=said("Nothing can be made in it any more, and what is in it goes."),
        remedy=remedy,
        command=f"{side.kubectl} get namespace {name} -o yaml",
    )


def _namespaces_like(connection: Connection, name: str) -> Text:
    try:
        known = [each["metadata"]["name"] for each in connection.list("namespaces")]
    except errors.Forbidden:
        return said("Check the spelling.")
    if close := difflib.get_close_matches(name, known, n=3, cutoff=0.5):
        return said("Did you mean {names}?", names=either(close))
    own = [each for each in known if not each.startswith(("kube-", "openshift"))]
    return said("It has {names}.", names=tuple(own[:10]))


def destination_namespaces(
    connection: Connection, side: Side, names: tuple[str, ...]
) -> tuple[dict[str, Object], list[Result]]:
    """Those of the namespaces that the destination has already, and what is wrong with them. Raises KubeError.

    One that may not be read is taken for none: that permission is told of with all others that are lacking.
    """
    there: dict[str, Object] = {}
    results: list[Result] = []
    unseen = False
    for name in names:
        try:
            namespace = connection.get("namespaces", name)
        except errors.Forbidden:
            unseen = True
            continue
        except errors.NotFound:
            if not connection.can_i("create", "namespaces"):
                results.append(
                    NAMESPACES.failure(
                        said(
                            "The {side} has no namespace {name}, and its account may not create namespaces.",
                            side=side,
                            name=name,
                        ),
                        [f"Namespace {name}"],
                        remedy=said("Create the namespace there, or grant create on namespaces."),
                        command=f"{side.kubectl} create namespace {name}",
                    )
                )
            continue
        if namespace["metadata"].get("deletionTimestamp"):
            results.append(_going(side, name, said("Wait until it is gone.")))
        there[name] = namespace
    if not results and not unseen:
        new = [name for name in names if name not in there]
        told = [counted(len(there), "{names} is there", "{names} are there", names=listed(there))] if there else []
        told += [said("{names} will be made", names=listed(new))] if new else []
        results.append(
            NAMESPACES.passed(
                said("On the {side} {told}.", side=side, told=tuple(told)), [f"Namespace {name}" for name in names]
            )
        )
    return there, results


def unread(side: Side, collected: Collected) -> Iterator[Result]:
    """Kinds that could not be read, and stay behind."""
    for each in collected.skipped:
        if each.reason == SILENT:
            # The check of silent APIs names it, with what to do.
            continue
        yield UNREAD.warning(
            said(
                "{resource} cannot be read on the {side} and stay behind: {reason}",
                resource=each.resource,
                side=side,
                reason=each.reason,
            ),
            why=said("Objects of this kind, if there are any, do not go along."),
            remedy=said("Allow the account the verb list on it, or exclude the kind, if it is not needed."),
            command=f"{side.kubectl} auth can-i list {each.resource} -A",
        )
    if collected.objects and not collected.skipped:
        kinds = len({(each["apiVersion"], each["kind"]) for each in collected.objects})
        yield UNREAD.passed(
            counted(
                len(collected.objects),
                "{n} object of {kinds} go along.",
                "{n} objects of {kinds} go along.",
                kinds=counted(kinds, "{n} kind", "{n} kinds"),
            )
        )


def rule_that_does_not_fit(obj: Object, error: RuleError) -> Result:
    """A user's rule that cannot be applied to an object that it is about."""
    return RULES.failure(
        as_it_is(error),
        [label(obj)],
        why=said("The object would be refused."),
        remedy=said("Change the rule, or let its conditions leave this object out."),
    )


def idle_rules(spec: Spec, collected: Collected) -> Iterator[Result]:
    """Rules of the user's that no object is meant by."""
    for label_ in rules.idle(collected.objects, rules.transformations(spec.transformations)):
        yield RULES.warning(
            said(
                "{rule} is about none of the objects that go along: it changes nothing.",
                rule=f"{label_[:1].upper()}{label_[1:]}",
            ),
            why=said("What it was to change arrives as it is."),
            remedy=said("Look for a misspelt kind, name, namespace or label in its conditions, or leave the rule out."),
        )


def names_of_services(found: Sequence[Suggestion], spec: Spec) -> Iterator[Result]:
    """Texts that name what is called differently on the destination, and that nothing changes."""
    if not spec.namespace_mapping:
        return
    if not found:
        yield NAMES.passed(said("No text would arrive that names a renamed namespace or a Service in one."))
        return
    objects = list(dict.fromkeys(named(each.key) for each in found))
    yield NAMES.warning(
        counted(
            len(found),
            "{n} text of {objects} names a renamed namespace or a Service in one, and would arrive as it is.",
            "{n} texts of {objects} name a renamed namespace or a Service in one, and would arrive as they are.",
            objects=counted(len(objects), "{n} object", "{n} objects"),
        ),
        objects,
        why=said("Programs that read such a text would look for what is not there."),
        remedy=said(
            "Make a plan: it shows each text with what it would become, to be taken over as a rule or dismissed."
        ),
    )


def unbound(claims: list[Claim]) -> Iterator[Result]:
    """Claims that no volume stands behind."""
    for claim in claims:
        if not claim.is_bound:
            yield UNBOUND.warning(
                said("Claim {claim} is not bound: it has no data, and an empty claim is made for it.", claim=claim),
                [f"PersistentVolumeClaim {claim}"],
            )


def keys(store: ObjectStore) -> Result:
    """Which keys of the object store movers get."""
    if store.gives_temporary_keys:
        return KEYS.passed(
            said(
                "Movers get temporary keys of the object store {store}, each for the prefix of its own volume alone.",
                store=store.name,
            )
        )
    return KEYS.passed(
        said(
            "Movers get the own key pair of the object store {store}, in a Secret that goes with them: it gives no "
            "temporary keys that a session policy holds to a prefix.",
            store=store.name,
        )
    )


def powers(
    connection: Connection, side: Side, namespace: Object, here: str, claims: list[Claim], users: Users
) -> Iterator[Result]:
    """Where movers will not be root, once for all claims of a namespace that share the reason. Raises KubeError.

    `here` is the namespace's name on this side; the claims are those of the source that carry data.
    """
    if not claims:
        return
    direction: privileges.Direction = "push" if side.role == "source" else "pull"
    refused = letting_in.refuses_root(connection, here)
    most, refusal = letting_in.most_power(connection, here, direction)
    told: dict[Text, list[str]] = {}
    for claim in claims:
        pods = users.get(claim.name, [])
        power = privileges.decide(direction, namespace, pods, refuses_root=refused, most=most, refusal=refusal)
        lost = privileges.what_is_lost(direction, power, raw=claim.mode == manifests.BLOCK)
        told.setdefault(lost, []).append(f"PersistentVolumeClaim {claim}")
    for lost, objects in told.items():
        if lost:
            yield POWER.warning(
                said("Movers on the {side} in namespace {namespace}: {lost}", side=side, namespace=here, lost=lost),
                objects,
                why=said("Those files would arrive otherwise than they are on the source, or not be read at all."),
                remedy=said("To let everything be kept, let the movers be root there for the time of the migration."),
                command=f"oc --context {side.cluster.name} adm policy add-scc-to-user privileged -z default -n {here}"
                if refused
                else f"{side.kubectl} label --overwrite namespace {here} {privileges.ENFORCE}=privileged",
            )
    if not any(told):
        yield POWER.passed(
            said(
                "Movers on the {side} in namespace {namespace} keep owners, modes and attributes of all files.",
                side=side,
                namespace=here,
            )
        )


def in_the_way(
    connection: Connection, side: Side, namespace: str, claims: list[Claim], wanted: Wanted
) -> Iterator[Result]:
    """Claims of the same names that somebody else made: one that fits and that nobody uses is taken as it is."""
    here = wanted.spec.namespace_for(namespace)
    present = {claim.name: claim for claim in claims_in(connection, here)}
    users = users_of_claims(connection, here) if present else {}
    taken = []
    for claim in claims:
        other = present.get(claim.name)
        if other is None or (wanted.migration_id and migration_of(other.raw) == wanted.migration_id):
            continue
        wrong = _unfit(side, claim, other, users.get(claim.name, []), wanted)
        if wrong is None:
            taken.append(str(other))
        else:
            message, remedy = wrong
            yield IN_THE_WAY.failure(
                message,
                [f"PersistentVolumeClaim {other}"],
                why=said("What is there is not overwritten, and data does not come into a claim that does not fit."),
                remedy=remedy,
                command=f"{side.kubectl} describe persistentvolumeclaim {other.name} -n {other.namespace}",
            )
    if taken:
        yield IN_THE_WAY.passed(
            said(
                "The {side} has {taken} already, unused and large enough: the data goes there.",
                side=side,
                taken=listed(taken),
            )
        )


def _unfit(side: Side, claim: Claim, other: Claim, busy: list[Object], wanted: Wanted) -> tuple[Text, Text] | None:
    values = {"side": side, "claim": other}
    modes = [wanted.spec.access_mode_mapping.get(mode, mode) for mode in claim.access_modes]
    if other.bytes < claim.bytes:
        return (
            said(
                "The {side} already has a claim {claim}, and it is too small: it has {size}, the source's has "
                "{wanted}.",
                **values,
                size=other.size,
                wanted=claim.size,
            ),
            said("Expand it, or delete it so that the migration makes one of the right size."),
        )
    if other.mode != claim.mode:
        wrong = said(
            "The {side} already has a claim {claim} with volumeMode {mode} instead of {wanted}.",
            **values,
            mode=other.mode,
            wanted=claim.mode,
        )
        return wrong, said("Delete it there.")
    if missing := [mode for mode in modes if mode not in other.access_modes]:
        wrong = said("The {side} already has a claim {claim} without access mode {modes}.", **values, modes=missing)
        return wrong, said("Delete it there.")
    if wanted.spec.include_volumes and busy:
        name = busy[0]["metadata"]["name"]
        wrong = said("The {side} already has a claim {claim}, and pod {pod} uses it.", **values, pod=name)
        return wrong, said("Stop what uses it and empty it, or delete both there.")
    return None
