"""OpenShift: which SecurityContextConstraints let the pods in, and whose user ids they get.

A pod is let in by the constraints that its service account may use: those that name the account or one of its groups,
and those that a role with the verb `use` grants. Of these one has to fit the pod as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import NOTHING, Text, counted, listed, said, sentences
from migrations_app.resources.constraints import GROUP, PLURAL, SCCS, Account, is_named, use_review
from migrations_app.resources.marks import annotations_of
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.facts import Facts, Unreadable
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.uids import ids_of
from migrations_app.resources.preflight.workloads import Workload
from migrations_app.resources.references import items, section

SCC = Check("scc", said("SecurityContextConstraints"))
RBAC = "rbac.authorization.k8s.io"
# Which constraints let a running pod in, as OpenShift notes it on the pod.
USED_ANNOTATION = "openshift.io/scc"
ROLE_PREFIX = "system:openshift:scc:"


def constraints(context: Context) -> Iterator[Result]:
    """Workloads whose service account may use no constraints that fit their pods."""
    if not context.destination.serves(SCCS) or not context.workloads:
        return
    there = context.destination.list(SCCS)
    if not there:
        return
    fine = 0
    usable: dict[tuple[str, str], list[Object]] = {}
    for workload in context.workloads:
        account = workload.namespace, workload.account
        if account not in usable:
            usable[account] = [each for each in there if _may_use(context, each, *account)]
        mine, ids = usable[account], ids_of(context.namespaces.get(workload.namespace, {}))
        if any(not unfit(each, workload.spec, ids) for each in mine):
            fine += 1
            continue
        yield _refused(context, workload, mine, there)
    if fine:
        yield SCC.passed(
            counted(
                fine,
                "The pods of {n} workload fit constraints that their accounts may use.",
                "The pods of {n} workloads fit constraints that their accounts may use.",
            )
        )


def _refused(context: Context, workload: Workload, mine: list[Object], there: list[Object]) -> Result:
    make = SCC.failure if workload.starts else SCC.warning
    ids = ids_of(context.namespaces.get(workload.namespace, {}))
    enough = sorted((each for each in there if not unfit(each, workload.spec, ids)), key=_power)
    best = enough[0]["metadata"]["name"] if enough else "privileged"
    tried = [
        said("{name}: {why}", name=each["metadata"]["name"], why=listed(unfit(each, workload.spec, ids), 2))
        for each in mine
    ]
    used = _used_on_source(context, workload)
    before = said("On the source they run under {used}.", used=used) if used else NOTHING
    return make(
        sentences(
            said(
                "No SecurityContextConstraints of the {destination} that the account {account} of namespace "
                "{namespace} may use fit the pods of {workload} ({tried}).",
                destination=context.destination,
                account=workload.account,
                namespace=workload.namespace,
                workload=workload,
                tried=listed(tried) or said("it may use none"),
            ),
            before,
        ),
        [str(workload), f"ServiceAccount {workload.namespace}/{workload.account}"],
        why=said("OpenShift would refuse the pods (unable to validate against any security context constraint)."),
        remedy=said("Let the account use {best} there, or change the pods by a rule of the migration.", best=best),
        command=f"oc --context {context.destination.cluster} adm policy add-scc-to-user {best} -z {workload.account} "
        f"-n {workload.namespace}",
    )


def _used_on_source(context: Context, workload: Workload) -> str:
    names = {context.spec.namespace_for(old): old for old in context.spec.namespaces}
    try:
        pods = context.source.list("pods", names.get(workload.namespace, workload.namespace))
    except Unreadable:
        return ""
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if workload.labels and workload.labels.items() <= labels.items():
            return annotations_of(pod).get(USED_ANNOTATION, "")
    return ""


def _power(constraints_of: Object) -> tuple[int, int, str]:
    """The smaller, the less the constraints let pods do."""
    strategy = section(constraints_of, "runAsUser").get("type")
    rank = {"MustRunAsRange": 0, "MustRunAs": 0, "MustRunAsNonRoot": 1}.get(str(strategy), 2)
    allowed = sum(
        bool(constraints_of.get(each))
        for each in (
            "allowPrivilegedContainer",
            "allowHostDirVolumePlugin",
            "allowHostNetwork",
            "allowHostPID",
            "allowHostIPC",
            "allowHostPorts",
        )
    )
    return allowed, rank, str(constraints_of["metadata"]["name"])


def _may_use(context: Context, found: Object, namespace: str, name: str) -> bool:
    account = Account(namespace, name)
    constraints_name = found["metadata"]["name"]
    return (
        is_named(found, account)
        or _granted_by_what_comes(context, constraints_name, namespace, name)
        or _reviewed(context.destination, constraints_name, account)
    )


def _granted_by_what_comes(context: Context, name: str, namespace: str, account: str) -> bool:
    """Whether a binding that comes along lets the account use the constraints."""
    roles = [*context.of_type(RBAC, "Role"), *context.of_type(RBAC, "ClusterRole")]
    granting = {(each["kind"], each["metadata"]["name"]) for each in roles if _grants(each, name)}
    granting.add(("ClusterRole", f"{ROLE_PREFIX}{name}"))
    for binding in [*context.of_type(RBAC, "RoleBinding"), *context.of_type(RBAC, "ClusterRoleBinding")]:
        if binding["kind"] == "RoleBinding" and binding["metadata"].get("namespace") != namespace:
            continue
        role = section(binding, "roleRef")
        if (role.get("kind"), role.get("name")) in granting and any(
            _is_account(each, namespace, account) for each in items(binding, "subjects")
        ):
            return True
    return False


def _grants(role: Object, name: str) -> bool:
    return any(
        GROUP in (rule.get("apiGroups") or ())
        and PLURAL in (rule.get("resources") or ())
        and {"use", "*"} & set(rule.get("verbs") or ())
        and name in (rule.get("resourceNames") or (name,))
        for rule in items(role, "rules")
    )


def _is_account(subject: Object, namespace: str, account: str) -> bool:
    match subject.get("kind"):
        case "ServiceAccount":
            return subject.get("name") == account and (subject.get("namespace") or namespace) == namespace
        case "User":
            return bool(subject.get("name") == f"system:serviceaccount:{namespace}:{account}")
        case "Group":
            return subject.get("name") in ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return False


def _reviewed(facts: Facts, name: str, account: Account) -> bool:
    """What the destination answers about the account; no where it may not be asked."""
    path, review = use_review(name, account)
    return bool((facts.review(path, review, "review an account's permissions") or {}).get("allowed"))


def unfit(found: Object, spec: Object, ids: range) -> list[Text]:
    """Why the constraints do not let in a pod of this spec; empty where they do. `ids` is the namespace's range."""
    return list(_unfit(found, spec, ids))


def _unfit(found: Object, spec: Object, ids: range) -> Iterator[Text]:
    pod = section(spec, "securityContext")
    containers = [*items(spec, "initContainers"), *items(spec, "containers")]
    contexts = [section(each, "securityContext") for each in containers]
    for field, allowed in (
        ("hostNetwork", "allowHostNetwork"),
        ("hostPID", "allowHostPID"),
        ("hostIPC", "allowHostIPC"),
    ):
        if spec.get(field) and not found.get(allowed):
            yield said("{field} is not allowed", field=field)
    if any(each.get("privileged") for each in contexts) and not found.get("allowPrivilegedContainer"):
        yield said("privileged containers are not allowed")
    if any(port.get("hostPort") for each in containers for port in items(each, "ports")) and not found.get(
        "allowHostPorts"
    ):
        yield said("host ports are not allowed")
    if (
        any(each.get("allowPrivilegeEscalation") for each in contexts)
        and found.get("allowPrivilegeEscalation") is False
    ):
        yield said("privilege escalation is not allowed")
    yield from _capabilities(found, contexts)
    yield from _volumes(found, spec)
    yield from _users(found, pod, contexts, ids)
    yield from _groups(found, pod, ids)


def _capabilities(found: Object, contexts: list[Object]) -> Iterator[Text]:
    allowed = {*(found.get("allowedCapabilities") or ()), *(found.get("defaultAddCapabilities") or ())}
    wanted = {each for one in contexts for each in section(one, "capabilities").get("add") or ()}
    if "*" not in allowed and (lacking := sorted(wanted - allowed)):
        yield said("capability {names} may not be added", names=listed(lacking))


def _volumes(found: Object, spec: Object) -> Iterator[Text]:
    allowed = set(found.get("volumes") or ())
    if "*" in allowed:
        return
    used = {kind for each in items(spec, "volumes") for kind in each if kind != "name"}
    if lacking := sorted(used - allowed - {"image"}):
        yield said("volumes of kind {kinds} are not allowed", kinds=listed(lacking))


def _users(found: Object, pod: Object, contexts: list[Object], ids: range) -> Iterator[Text]:
    strategy = section(found, "runAsUser")
    asked = {each["runAsUser"] for each in [pod, *contexts] if each.get("runAsUser") is not None}
    match strategy.get("type"):
        case "MustRunAsNonRoot":
            if 0 in asked:
                yield said("user {ids} is not allowed", ids=0)
        case "MustRunAsRange":
            least, most = strategy.get("uidRangeMin"), strategy.get("uidRangeMax")
            allowed = ids if least is None or most is None else range(least, most + 1)
            if wrong := sorted(each for each in asked if each not in allowed):
                yield said(
                    "user {ids} is not in the range {first}-{last}",
                    ids=listed(wrong),
                    first=allowed.start,
                    last=allowed.stop - 1,
                )
        case "MustRunAs":
            if wrong := sorted(each for each in asked if each != strategy.get("uid")):
                yield said("user {ids} is not {wanted}", ids=listed(wrong), wanted=strategy.get("uid"))


def _groups(found: Object, pod: Object, ids: range) -> Iterator[Text]:
    strategy = section(found, "fsGroup")
    group = pod.get("fsGroup")
    if strategy.get("type") != "MustRunAs" or group is None:
        return
    allowed = [range(each.get("min", 0), each.get("max", 0) + 1) for each in items(strategy, "ranges")] or [ids]
    if not any(group in each for each in allowed):
        yield said(
            "fsGroup {group} is not in the range {first}-{last}",
            group=group,
            first=allowed[0].start,
            last=allowed[0].stop - 1,
        )
