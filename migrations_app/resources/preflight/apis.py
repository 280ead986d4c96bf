"""Whether the destination serves what comes: API versions, custom resource definitions, and who converts them."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.resources.preflight.context import CRDS, Context, Object, label
from migrations_app.resources.preflight.result import Check, Result, counted, listed
from migrations_app.resources.references import items, section

VERSIONS = Check("api-versions", "API versions")
DEFINITIONS = Check("custom-resources", "Custom resource definitions")
CONVERSION = Check("conversion-webhooks", "Conversion webhooks of custom resources")
SILENT = Check("silent-apis", "APIs whose server answers")


def versions(context: Context) -> Iterator[Result]:
    """Kinds at versions that the destination does not serve, with the version that it does serve.

    Kinds whose definition comes along, or that nothing on the destination defines, are `definitions`' business.
    """
    served = 0
    for (api_version, kind), objects in sorted(_by_type(context).items()):
        group, _slash, version = api_version.rpartition("/")
        others = context.discovery.versions_of(group, kind)
        if version in others:
            served += 1
        elif others:
            yield _other_version(context, group, version, kind, others, objects)
    if served:
        yield VERSIONS.passed(
            f"{counted(served, 'API version is', 'API versions are')} served by the {context.destination}."
        )


def _by_type(context: Context) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = {}
    for obj in context.planned:
        found.setdefault((obj["apiVersion"], obj["kind"]), []).append(obj)
    return found


def _other_version(
    context: Context, group: str, version: str, kind: str, others: list[str], objects: list[Object]
) -> Result:
    here = context.source.discovery.versions_of(group, kind)
    common = [each for each in others if each in here]
    metadata = objects[0]["metadata"]
    resource = next(each for each in context.source.discovery.resources() if (each.group, each.kind) == (group, kind))
    place = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    if common:
        remedy = (
            f"The source serves {group}/{common[0]} too: migrate without {resource.name}, and apply there what the "
            "command prints."
        )
        command = (
            f"{context.source.kubectl} get {resource.plural}.{common[0]}.{group} {metadata['name']}{place} -o yaml"
        )
    else:
        remedy = (
            f"Write the {kind} anew in {group}/{others[0]}, or upgrade what defines it on the source; or migrate "
            f"without {resource.name}."
        )
        command = f"{context.destination.kubectl} explain {resource.plural} --api-version={group}/{others[0]}"
    return VERSIONS.failure(
        f"The {context.destination} does not serve {kind} of {group}/{version}. It serves "
        f"{listed(f'{group}/{each}' for each in others)}.",
        map(label, objects),
        why="The API server would refuse these objects.",
        remedy=remedy,
        command=command,
    )


def definitions(context: Context) -> Iterator[Result]:
    """Kinds that nothing on the destination defines, and whose definition does not come along."""
    coming = {
        (section(crd, "spec").get("group"), section(crd, "spec", "names").get("kind"))
        for crd in context.of_type("apiextensions.k8s.io", "CustomResourceDefinition")
    }
    there = 0
    for (api_version, kind), objects in sorted(_by_type(context).items()):
        group = api_version.rpartition("/")[0]
        if (group, kind) in coming:
            there += 1
        elif not context.discovery.versions_of(group, kind):
            name = _resource_name(context, group, kind)
            yield DEFINITIONS.failure(
                f"Nothing on the {context.destination} defines {kind} of {api_version}.",
                map(label, objects),
                why="The API server does not know such objects and would refuse them.",
                remedy=f"Install there what defines it, at best the same operator, or migrate without {name}.",
                command=f"{context.source.kubectl} get crd {name} -o yaml",
            )
    if there:
        yield DEFINITIONS.passed(
            f"{counted(there, 'definition of custom resources comes', 'definitions of custom resources come')} along."
        )


def _resource_name(context: Context, group: str, kind: str) -> str:
    found = next(
        (each for each in context.source.discovery.resources() if (each.group, each.kind) == (group, kind)), None
    )
    return found.name if found else f"{kind.lower()}s.{group}"


def conversion(context: Context) -> Iterator[Result]:
    """Definitions that come with a conversion webhook, whose Service has to come too or be there."""
    for crd in context.of_type("apiextensions.k8s.io", "CustomResourceDefinition"):
        strategy = section(crd, "spec", "conversion")
        service = section(strategy, "webhook", "clientConfig", "service")
        if strategy.get("strategy") != "Webhook" or not service:
            continue
        namespace, name = str(service.get("namespace", "")), str(service.get("name", ""))
        versions_of = [str(each.get("name")) for each in items(crd.get("spec"), "versions") if each.get("served")]
        if crd["metadata"]["name"] in context.destination.named(CRDS):
            continue
        if context.has("services", "", "Service", name, namespace):
            yield CONVERSION.passed(f"{crd['metadata']['name']} is converted by Service {namespace}/{name}.")
        else:
            yield CONVERSION.warning(
                f"{crd['metadata']['name']} converts between {listed(versions_of)} by Service {namespace}/{name}, "
                f"which the {context.destination} does not have and which does not come along.",
                [label(crd)],
                why="Objects stored in one version could not be read in another.",
                remedy="Install the operator that runs this Service on the destination, or migrate its namespace too.",
                command=f"{context.source.kubectl} get service {name} -n {namespace}",
            )


def silent(context: Context) -> Iterator[Result]:
    """Aggregated APIs whose own server does not answer: what they hold is not known."""
    for facts in (context.source, context.destination):
        if missing := facts.discovery.unavailable:
            yield SILENT.warning(
                f"On the {facts} nobody answers for {listed(missing)}.",
                [f"APIService {each.rpartition('/')[2]}.{each.rpartition('/')[0]}" for each in missing],
                why="Objects of these APIs can be neither read nor made.",
                remedy="Mend or remove the server behind it, then check again.",
                command=f"{facts.kubectl} get apiservices",
            )
