"""Whether what leads to the application can work there: classes of Ingresses and Gateways, hosts, node ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clusters.texts import counted, listed, said
from migrations_app.resources.marks import annotations_of, type_of
from migrations_app.resources.preflight.context import Context, Object, label
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import GATEWAY, NETWORKING, items, section

INGRESS_CLASS = Check("ingress-class", said("Ingress classes"))
GATEWAY_CLASS = Check("gateway-class", said("Gateways and their classes"))
HOSTS = Check("host-collision", said("Hosts of Ingresses and Routes"))
NODE_PORTS = Check("node-port", said("Node ports"))
ROUTES = ("route.openshift.io", "Route")
INGRESSES = (NETWORKING, "Ingress")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"


def ingress_classes(context: Context) -> Iterator[Result]:
    """Ingresses that nobody on the destination serves."""
    ingresses = context.of_type(*INGRESSES)
    if not ingresses:
        return
    classes = context.destination.named("ingressclasses.networking.k8s.io")
    has = listed(sorted(classes)) or said("none")
    default = any(annotations_of(each).get(DEFAULT_INGRESS) == "true" for each in classes.values())
    why = said("No controller would serve them: the hosts would lead nowhere.")
    command = f"{context.destination.kubectl} get ingressclasses"
    absent: dict[str, list[str]] = {}
    unnamed = []
    for obj in ingresses:
        name = section(obj, "spec").get("ingressClassName") or annotations_of(obj).get(CLASS_ANNOTATION)
        if not name and not default:
            unnamed.append(label(obj))
        elif name and name not in classes:
            absent.setdefault(str(name), []).append(label(obj))
    for name, objects in sorted(absent.items()):
        yield INGRESS_CLASS.warning(
            counted(
                len(objects),
                "The {destination} has no ingress class {name}, which {objects} names (it has: {has}).",
                "The {destination} has no ingress class {name}, which {objects} name (it has: {has}).",
                destination=context.destination,
                name=name,
                objects=listed(objects),
                has=has,
            ),
            objects,
            why=why,
            remedy=said(
                "Install its controller there, or set ingressClassName to one of these by a rule of the migration."
            ),
            command=command,
        )
    if unnamed:
        yield INGRESS_CLASS.warning(
            counted(
                len(unnamed),
                "{objects} names no ingress class, and the {destination} has no default one (it has: {has}).",
                "{objects} name no ingress class, and the {destination} has no default one (it has: {has}).",
                objects=listed(unnamed),
                destination=context.destination,
                has=has,
            ),
            unnamed,
            why=why,
            remedy=said(
                "Make one of the classes the default there, or set ingressClassName by a rule of the migration."
            ),
            command=command,
        )
    if not absent and not unnamed:
        yield INGRESS_CLASS.passed(
            counted(
                len(ingresses),
                "The {destination} has the classes of {n} Ingress.",
                "The {destination} has the classes of {n} Ingresses.",
                destination=context.destination,
            )
        )


def gateways(context: Context) -> Iterator[Result]:
    """Gateways without their class, and routes without their Gateway."""
    classes = context.destination.named(f"gatewayclasses.{GATEWAY}") if context.of_type(GATEWAY, "Gateway") else {}
    fine = 0
    for obj in context.of_type(GATEWAY, "Gateway"):
        name = str(section(obj, "spec").get("gatewayClassName"))
        if name in classes:
            fine += 1
            continue
        yield GATEWAY_CLASS.warning(
            said(
                "The {destination} has no GatewayClass {name}, which {obj} names (it has: {classes}).",
                destination=context.destination,
                name=name,
                obj=label(obj),
                classes=listed(sorted(classes)) or said("none"),
            ),
            [label(obj)],
            why=said("No controller would serve the Gateway: its routes would lead nowhere."),
            remedy=said("Install its controller there, or set gatewayClassName by a rule of the migration."),
            command=f"{context.destination.kubectl} get gatewayclasses",
        )
    for obj in context.planned:
        if type_of(obj)[0] != GATEWAY or not obj["kind"].endswith("Route"):
            continue
        for parent in items(obj.get("spec"), "parentRefs"):
            if (parent.get("kind") or "Gateway") != "Gateway" or (parent.get("group") or GATEWAY) != GATEWAY:
                continue
            namespace = str(parent.get("namespace") or obj["metadata"].get("namespace") or "")
            name = str(parent.get("name"))
            if _has_gateway(context, name, namespace):
                fine += 1
                continue
            yield GATEWAY_CLASS.warning(
                said(
                    "{obj} hangs on the Gateway {namespace}/{name}, which the {destination} does not have and which "
                    "does not come along.",
                    obj=label(obj),
                    namespace=namespace,
                    name=name,
                    destination=context.destination,
                ),
                [label(obj)],
                why=said("The route would lead nowhere."),
                remedy=said("Make the Gateway there, or change parentRefs by a rule of the migration."),
                command=f"{context.destination.kubectl} get gateways -A",
            )
    if fine:
        yield GATEWAY_CLASS.passed(
            counted(
                fine,
                "{n} reference to Gateways and their classes can be followed.",
                "{n} references to Gateways and their classes can be followed.",
            )
        )


def _has_gateway(context: Context, name: str, namespace: str) -> bool:
    if (GATEWAY, "Gateway", namespace, name) in context.planned_keys:
        return True
    return name in context.destination.named(f"gateways.{GATEWAY}", namespace)


@dataclass(frozen=True)
class Host:
    """One place where an object wants to be reached."""

    name: str
    path: str
    obj: Object

    def __str__(self) -> str:
        return f"{self.name}{self.path}"


def hosts(context: Context) -> Iterator[Result]:
    """Hosts that another object of the destination serves already."""
    coming = [host for obj in context.planned for host in _hosts_of(obj)]
    if not coming:
        return
    served: dict[str, list[Host]] = {}
    for resource in ("ingresses.networking.k8s.io", "routes.route.openshift.io"):
        for obj in context.destination.list(resource):
            if not context.is_ours(obj["kind"], type_of(obj)[0], obj):
                for host in _hosts_of(obj):
                    served.setdefault(host.name, []).append(host)
    free = 0
    for host in coming:
        others = served.get(host.name, [])
        same = [each for each in others if each.path == host.path]
        if not others:
            free += 1
        elif same:
            yield HOSTS.failure(
                said(
                    "{obj} wants the host {host}, which {other} on the {destination} has already.",
                    obj=label(host.obj),
                    host=host,
                    other=label(same[0].obj),
                    destination=context.destination,
                ),
                [label(host.obj), label(same[0].obj)],
                why=said("One of the two would not be reached, or each would get requests of the other."),
                remedy=said(
                    "Map the suffix of the host in the migration, leave the object out, or remove the other one."
                ),
                command=_look_up(context, same[0].obj),
            )
        else:
            yield HOSTS.warning(
                said(
                    "{obj} wants the host {host}, of which {other} on the {destination} serves {path}.",
                    obj=label(host.obj),
                    host=host,
                    other=label(others[0].obj),
                    destination=context.destination,
                    path=others[0].path,
                ),
                [label(host.obj), *(label(each.obj) for each in others)],
                why=said("Both share the host: make sure that they are meant to."),
                remedy=said("Map the suffix of the host in the migration, if they are not."),
                command=_look_up(context, others[0].obj),
            )
    if free:
        yield HOSTS.passed(
            counted(
                free,
                "{n} host is free on the {destination}.",
                "{n} hosts are free on the {destination}.",
                destination=context.destination,
            )
        )


def _look_up(context: Context, obj: Object) -> str:
    metadata = obj["metadata"]
    return (
        f"{context.destination.kubectl} get {obj['kind'].lower()} {metadata['name']} -n {metadata['namespace']} -o yaml"
    )


def _hosts_of(obj: Object) -> Iterator[Host]:
    spec = section(obj, "spec")
    if type_of(obj) == ROUTES:
        if spec.get("host"):
            yield Host(str(spec["host"]), str(spec.get("path") or "/"), obj)
    elif type_of(obj) == INGRESSES:
        for rule in items(spec, "rules"):
            if not rule.get("host"):
                continue
            paths = {str(each.get("path") or "/") for each in items(section(rule, "http"), "paths")} or {"/"}
            for path in sorted(paths):
                yield Host(str(rule["host"]), path, obj)


def node_ports(context: Context) -> Iterator[Result]:
    """Node ports that are asked for by number and belong to another Service there."""
    wanted = [
        (port["nodePort"], str(port.get("protocol") or "TCP"), obj)
        for obj in context.of_type("", "Service")
        for port in items(obj.get("spec"), "ports")
        if port.get("nodePort")
    ]
    if not wanted:
        return
    taken: dict[tuple[int, str], Object] = {}
    for obj in context.destination.list("services"):
        if not context.is_ours("Service", "", obj):
            for port in items(obj.get("spec"), "ports"):
                if port.get("nodePort"):
                    taken[port["nodePort"], str(port.get("protocol") or "TCP")] = obj
    free = 0
    for number, protocol, obj in wanted:
        other = taken.get((number, protocol))
        if other is None:
            free += 1
            continue
        yield NODE_PORTS.failure(
            said(
                "{obj} asks for the node port {number}, which {other} on the {destination} has.",
                obj=label(obj),
                number=number,
                other=label(other),
                destination=context.destination,
            ),
            [label(obj), label(other)],
            why=said("The API server would refuse the Service (provided port is already allocated)."),
            remedy=said("Remove nodePort by a rule of the migration, so that a free one is given, or free it there."),
            command=_look_up(context, other),
        )
    if free:
        yield NODE_PORTS.passed(
            counted(
                free,
                "{n} node port that is asked for is free.",
                "{n} node ports that are asked for are free.",
            )
        )
