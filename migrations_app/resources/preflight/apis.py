"""Whether the destination serves what comes: API versions, custom resource definitions, and who converts them."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import counted, listed, said
from migrations_app.resources.preflight.context import CRDS, Context, Object, label
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import items, section

VERSIONS = Check("api-versions", said("API versions"))
DEFINITIONS = Check("custom-resources", said("Custom resource definitions"))
CONVERSION = Check("conversion-webhooks", said("Conversion webhooks of custom resources"))
SILENT = Check("silent-apis", said("APIs whose server answers"))


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
            counted(
                served,
                "{n} API version is served by the {destination}.",
                "{n} API versions are served by the {destination}.",
                destination=context.destination,
            )
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
        remedy = said(
            "The source serves {version} too: migrate without {name}, and apply there what the command prints.",
            version=f"{group}/{common[0]}",
            name=resource.name,
        )
        command = (
            f"{context.source.kubectl} get {resource.plural}.{common[0]}.{group} {metadata['name']}{place} -o yaml"
        )
    else:
        remedy = said(
            "Write the {kind} anew in {version}, or upgrade what defines it on the source; or migrate without {name}.",
            kind=kind,
            version=f"{group}/{others[0]}",
            name=resource.name,
        )
        command = f"{context.destination.kubectl} explain {resource.plural} --api-version={group}/{others[0]}"
    return VERSIONS.failure(
        said(
            "The {destination} does not serve {kind} of {asked}. It serves {served}.",
            destination=context.destination,
            kind=kind,
            asked=f"{group}/{version}",
            served=listed(f"{group}/{each}" for each in others),
        ),
        map(label, objects),
        why=said("The API server would refuse these objects."),
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
                said(
                    "Nothing on the {destination} defines {kind} of {api_version}.",
                    destination=context.destination,
                    kind=kind,
                    api_version=api_version,
                ),
                map(label, objects),
                why=said("The API server does not know such objects and would refuse them."),
                remedy=said(
                    "Install there what defines it, at best the same operator, or migrate without {name}.", name=name
                ),
                command=f"{context.source.kubectl} get crd {name} -o yaml",
            )
    if there:
        yield DEFINITIONS.passed(
            counted(
                there,
                "{n} definition of custom resources comes along.",
                "{n} definitions of custom resources come along.",
            )
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
            yield CONVERSION.passed(
                said(
                    "{name} is converted by Service {service}.",
                    name=crd["metadata"]["name"],
                    service=f"{namespace}/{name}",
                )
            )
        else:
            yield CONVERSION.warning(
                said(
                    "{name} converts between {versions} by Service {service}, which the {destination} does "
                    "not have and which does not come along.",
                    name=crd["metadata"]["name"],
                    versions=listed(versions_of),
                    service=f"{namespace}/{name}",
                    destination=context.destination,
                ),
                [label(crd)],
                why=said("Objects stored in one version could not be read in another."),
                remedy=said(
                    "Install the operator that runs this Service on the destination, or migrate its namespace too."
                ),
                command=f"{context.source.kubectl} get service {name} -n {namespace}",
            )


def silent(context: Context) -> Iterator[Result]:
    """Aggregated APIs whose own server does not answer: what they hold is not known."""
    for facts in (context.source, context.destination):
        if missing := facts.discovery.unavailable:
            yield SILENT.warning(
                said("On the {side} nobody answers for {missing}.", side=facts, missing=listed(missing)),
                [f"APIService {each.rpartition('/')[2]}.{each.rpartition('/')[0]}" for each in missing],
                why=said("Objects of these APIs can be neither read nor made."),
                remedy=said("Mend or remove the server behind it, then check again."),
                command=f"{facts.kubectl} get apiservices",
            )
