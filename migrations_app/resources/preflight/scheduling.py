"""Whether the destination's nodes take the pods: architecture, selectors, taints, resources, classes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from clusters.texts import NOTHING, Text, counted, listed, said
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.limits import shown
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.workloads import Workload, pod_requests
from migrations_app.resources.quantities import to_number
from migrations_app.resources.references import items, section
from migrations_app.resources.selection import Requirement

ARCHITECTURE = Check("architecture", said("Architecture of the nodes"))
PLACEMENT = Check("node-placement", said("Nodes that the pods may run on"))
ROOM = Check("node-resources", said("Room on the nodes"))
PRIORITY = Check("priority-class", said("Priority classes"))
RUNTIME = Check("runtime-class", said("Runtime classes"))
SCHEDULER = Check("scheduler", said("Schedulers"))

CORDONED = said("takes no new pods (cordoned)")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
ARCH, OS = "kubernetes.io/arch", "kubernetes.io/os"
BUILT_IN_PRIORITIES = ("system-cluster-critical", "system-node-critical")
OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent", "Gt": ">", "Lt": "<"}


def architecture(context: Context) -> Iterator[Result]:
    """Images are made for an architecture: that of the source's nodes, unless they are made for several."""
    if not context.workloads:
        return
    here, there = _architectures(context.source.list("nodes")), _architectures(context.destination.list("nodes"))
    if not here or not there:
        return
    known = {"here": listed(sorted(here)), "there": listed(sorted(there))}
    if there <= here:
        yield ARCHITECTURE.passed(said("The source's nodes are {here}, the destination's are {there}.", **known))
        return
    open_ones = [each for each in context.workloads if not _says_architecture(each.spec)]
    objects = list(map(str, open_ones))
    images = sorted({str(each.get("image")) for workload in open_ones for each in workload.containers()})
    command = f"docker buildx imagetools inspect {shlex.quote(images[0])}" if images else ""
    why = said("A container whose image is made for another architecture ends at once (exec format error).")
    if not here & there:
        yield ARCHITECTURE.failure(
            said(
                "The source's nodes are {here}, the destination's are {there}: no architecture is common to both.",
                **known,
            ),
            map(str, context.workloads),
            why=why,
            remedy=said(
                "Add nodes of {here} to the destination, or build the images for {there} as well.",
                **known,
            ),
            command=command,
        )
    elif objects:
        only = sorted(there & here)[0]
        yield ARCHITECTURE.warning(
            said(
                "The source's nodes are {here}, the destination's are {there}: pods of {objects} may land on nodes of "
                "an architecture that they never ran on.",
                **known,
                objects=listed(objects),
            ),
            objects,
            why=why,
            remedy=said(
                "See whether the images are made for several, or add the nodeSelector {selector} by a rule.",
                selector=f"{ARCH}={only}",
            ),
            command=command,
        )


def _architectures(nodes: Iterable[Object]) -> set[str]:
    """`linux/amd64` and the like of the nodes that take pods."""
    found = set()
    for node in nodes:
        if not section(node, "spec").get("unschedulable"):
            info = section(node, "status", "nodeInfo")
            if info.get("architecture"):
                found.add(f"{info.get('operatingSystem') or 'linux'}/{info['architecture']}")
    return found


def _says_architecture(spec: Object) -> bool:
    terms = items(section(spec, "affinity", "nodeAffinity", REQUIRED), "nodeSelectorTerms")
    keys = {each.get("key") for term in terms for each in items(term, "matchExpressions")}
    return ARCH in section(spec, "nodeSelector") or ARCH in keys


def placement(context: Context) -> Iterator[Result]:
    """Workloads whose pods no node takes, with what is wrong with how many."""
    if not context.workloads:
        return
    nodes = context.destination.list("nodes")
    fine = 0
    for workload in context.workloads:
        refusals = {node["metadata"]["name"]: refusal(workload.spec, node) for node in nodes}
        if not nodes or not all(refusals.values()):
            fine += 1
            continue
        counts = Counter(refusals.values())
        reasons = listed(said("{number} {fate}", number=count, fate=reason) for reason, count in counts.most_common())
        # A cordon is there for a while; whoever put it takes it away again.
        hopeless = workload.starts and CORDONED not in counts
        make = PLACEMENT.failure if hopeless else PLACEMENT.warning
        yield make(
            said(
                "No node of the {destination} takes the pods of {workload}: of {nodes} nodes {reasons}.",
                destination=context.destination,
                workload=workload,
                nodes=len(nodes),
                reasons=reasons,
            ),
            [str(workload)],
            why=said("The pods would wait for ever."),
            remedy=_placement_remedy(refusals),
            command=_placement_command(context, workload.spec, nodes),
        )
    if fine and nodes:
        yield PLACEMENT.passed(
            counted(
                fine, "There are nodes for the pods of {n} workload.", "There are nodes for the pods of {n} workloads."
            )
        )


def _placement_remedy(refusals: Mapping[str, Text]) -> Text:
    if CORDONED in refusals.values():
        return said("Uncordon a node there, or wait until somebody does.")
    if all("taint" in each.values for each in refusals.values()):
        return said("Add a toleration by a rule of the migration, or remove the taint from a node.")
    return said("Label a node there, or change the nodeSelector or affinity by a rule of the migration.")


def _placement_command(context: Context, spec: Object, nodes: list[Object]) -> str:
    wanted = section(spec, "nodeSelector")
    if wanted and nodes:
        labels = " ".join(shlex.quote(f"{key}={value}") for key, value in wanted.items())
        return f"{context.destination.kubectl} label node {nodes[0]['metadata']['name']} {labels}"
    return f"{context.destination.kubectl} get nodes --show-labels"


def nodes_for(context: Context, workload: Workload) -> list[Object]:
    """The destination's nodes that take the workload's pods. Raises Unreadable."""
    return [node for node in context.destination.list("nodes") if not refusal(workload.spec, node)]


def refusal(spec: Object, node: Object) -> Text:
    """Why the node takes no pods of this spec; empty where it does. As the scheduler's filters ask."""
    labels = node["metadata"].get("labels") or {}
    if section(node, "spec").get("unschedulable") and not _tolerates(
        spec, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return CORDONED
    for taint in items(node.get("spec"), "taints"):
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerates(spec, taint):
            value = f"={taint['value']}" if taint.get("value") else ""
            return said(
                "has the taint {taint}, which is not tolerated", taint=f"{taint.get('key')}{value}:{taint['effect']}"
            )
    for key, value in section(spec, "nodeSelector").items():
        if labels.get(key) != value:
            return said("lacks the label {label}", label=f"{key}={value}")
    required = section(spec, "affinity", "nodeAffinity", REQUIRED)
    if required and not is_selected(required, node):
        return said("does not meet the node affinity ({affinity})", affinity=_affinity(required))
    return NOTHING


def _tolerates(spec: Object, taint: Object) -> bool:
    for each in items(spec, "tolerations"):
        if each.get("effect") and each["effect"] != taint.get("effect"):
            continue
        exists = each.get("operator") == "Exists"
        if not each.get("key"):
            if exists:
                return True
        elif each["key"] == taint.get("key") and (exists or (each.get("value") or "") == (taint.get("value") or "")):
            return True
    return False


def is_selected(selector: Object, node: Object) -> bool:
    """Whether a node selector, as affinities and disks have it, selects the node."""
    return any(_meets(term, node) for term in items(selector, "nodeSelectorTerms"))


def _meets(term: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    expressions, of_fields = items(term, "matchExpressions"), items(term, "matchFields")
    if not expressions and not of_fields:
        return False
    return all(_requirement(each).holds(labels) for each in expressions) and all(
        _requirement(each).holds(fields) for each in of_fields
    )


def _requirement(expression: Object) -> Requirement:
    operator = OPERATORS.get(str(expression.get("operator")), "exists")
    return Requirement(str(expression.get("key")), operator, frozenset(map(str, expression.get("values") or ())))


def _affinity(required: Object) -> str:
    def shown_as(each: Object) -> str:
        values = ",".join(map(str, each.get("values") or ()))
        return f"{each.get('key')} {each.get('operator')}{f' {values}' if values else ''}"

    return " or ".join(
        " and ".join(shown_as(each) for each in [*items(term, "matchExpressions"), *items(term, "matchFields")])
        for term in items(required, "nodeSelectorTerms")
    )


def room(context: Context) -> Iterator[Result]:
    """Pods that are larger than every node, and whether all that start fit into what is free."""
    starting = [each for each in context.workloads if each.starts and each.pods is not None]
    if not starting:
        return
    nodes = [each for each in context.destination.list("nodes") if not section(each, "spec").get("unschedulable")]
    offered = {node["metadata"]["name"]: _allocatable(node) for node in nodes}
    if not any(offered.values()):
        return
    wrong = False
    for workload in starting:
        usable = [node for node in nodes if not refusal(workload.spec, node)]
        asked = pod_requests(workload.spec)
        if usable and not any(_fits(asked, offered[node["metadata"]["name"]]) for node in usable):
            wrong = True
            yield ROOM.failure(
                said(
                    "A pod of {workload} asks for {asked}, more than any node of the {destination} that may take it "
                    "has.",
                    workload=workload,
                    asked=_amounts(asked),
                    destination=context.destination,
                ),
                [str(workload)],
                why=said("The pod would wait for ever."),
                remedy=said("Add a larger node there, or lower the requests by a rule of the migration."),
                command=f"{context.destination.kubectl} describe nodes",
            )
    if wrong:
        return
    needed, free = _needed(starting), _free(context, nodes, offered)
    short = {name: value for name, value in needed.items() if value > free.get(name, Decimal(0))}
    if short:
        lacking = listed(
            said(
                "{amount} {name} of {free} that are free",
                amount=shown(name, value),
                name=name,
                free=shown(name, max(free.get(name, Decimal(0)), Decimal(0))),
            )
            for name, value in short.items()
        )
        yield ROOM.warning(
            said(
                "The pods that would start ask for {lacking} on the {destination}.",
                lacking=lacking,
                destination=context.destination,
            ),
            map(str, starting),
            why=said("Some pods would wait until others end, unless the cluster adds nodes by itself."),
            remedy=said("Add nodes there, or start with fewer replicas."),
            command=f"{context.destination.kubectl} describe nodes",
        )
    else:
        pods = sum(each.pods or 0 for each in starting)
        yield ROOM.passed(
            counted(
                pods,
                "{n} pod would start and asks for {amounts}, which is free on the nodes.",
                "{n} pods would start and ask for {amounts}, which is free on the nodes.",
                amounts=_amounts(needed),
            )
        )


def _amounts(amounts: dict[str, Decimal]) -> Text:
    return listed(f"{shown(name, value)} {name}" for name, value in sorted(amounts.items())) or said("nothing")


def _allocatable(node: Object) -> dict[str, Decimal]:
    return {name: to_number(value) for name, value in section(node, "status", "allocatable").items()}


def _fits(asked: dict[str, Decimal], offered: dict[str, Decimal]) -> bool:
    return all(value <= offered.get(name, Decimal(0)) for name, value in asked.items())


def _needed(starting: list[Workload]) -> dict[str, Decimal]:
    needed: dict[str, Decimal] = {}
    for workload in starting:
        for name, value in pod_requests(workload.spec).items():
            needed[name] = needed.get(name, Decimal(0)) + value * (workload.pods or 0)
    return needed


def _free(context: Context, nodes: list[Object], offered: dict[str, dict[str, Decimal]]) -> dict[str, Decimal]:
    """What is left of the nodes together."""
    free: dict[str, Decimal] = {}
    for amounts in offered.values():
        for name, value in amounts.items():
            free[name] = free.get(name, Decimal(0)) + value
    for pod in context.destination.list("pods"):
        if pod["spec"].get("nodeName") in offered and section(pod, "status").get("phase") in ("Running", "Pending"):
            for name, value in pod_requests(pod["spec"]).items():
                free[name] = free.get(name, Decimal(0)) - value
    return free


def priorities(context: Context) -> Iterator[Result]:
    yield from _classes(
        context,
        PRIORITY,
        "priorityClassName",
        "priorityclasses.scheduling.k8s.io",
        "scheduling.k8s.io",
        "PriorityClass",
    )


def runtimes(context: Context) -> Iterator[Result]:
    yield from _classes(
        context, RUNTIME, "runtimeClassName", "runtimeclasses.node.k8s.io", "node.k8s.io", "RuntimeClass"
    )


def _classes(context: Context, check: Check, field: str, resource: str, group: str, kind: str) -> Iterator[Result]:
    """Classes that pods name: without them the API server refuses the pods."""
    users: dict[str, list[Workload]] = {}
    for workload in context.workloads:
        name = workload.spec.get(field)
        if isinstance(name, str) and name and name not in BUILT_IN_PRIORITIES:
            users.setdefault(name, []).append(workload)
    fine = []
    for name, workloads in sorted(users.items()):
        if context.has(resource, group, kind, name):
            fine.append(name)
            continue
        make = check.failure if any(each.starts for each in workloads) else check.warning
        yield make(
            counted(
                len(workloads),
                "The {destination} has no {kind} {name}, which {workloads} names.",
                "The {destination} has no {kind} {name}, which {workloads} name.",
                destination=context.destination,
                kind=kind,
                name=name,
                workloads=listed(workloads),
            ),
            map(str, workloads),
            why=said("The API server refuses pods that name a {kind} that is not there.", kind=kind),
            remedy=said("Make it there, or remove {field} by a rule of the migration.", field=field),
            command=f"{context.source.kubectl} get {kind.lower()} {name} -o yaml \\\n"
            f"  | {context.destination.kubectl} apply -f -",
        )
    if fine:
        yield check.passed(
            said(
                "The {destination} has or gets {kind} {fine}.",
                destination=context.destination,
                kind=kind,
                fine=listed(fine),
            )
        )


def schedulers(context: Context) -> Iterator[Result]:
    """Schedulers other than the cluster's own: whether there is one cannot be asked."""
    users: dict[str, list[str]] = {}
    for workload in context.workloads:
        name = workload.spec.get("schedulerName") or "default-scheduler"
        if name != "default-scheduler":
            users.setdefault(str(name), []).append(str(workload))
    known = {section(pod, "spec").get("schedulerName") for pod in context.destination.list("pods")} if users else set()
    for name, objects in sorted(users.items()):
        if name in known:
            yield SCHEDULER.passed(
                said("The scheduler {name} is in use on the {destination}.", name=name, destination=context.destination)
            )
            continue
        yield SCHEDULER.warning(
            counted(
                len(objects),
                "{objects} asks for the scheduler {name}, which no pod on the {destination} uses.",
                "{objects} ask for the scheduler {name}, which no pod on the {destination} uses.",
                objects=listed(objects),
                name=name,
                destination=context.destination,
            ),
            objects,
            why=said("Without that scheduler the pods would wait for ever."),
            remedy=said(
                "Install it there (stork comes with Portworx), or remove schedulerName by a rule of the migration."
            ),
            command=f"{context.destination.kubectl} get pods -A -o wide | grep {shlex.quote(name)}",
        )
