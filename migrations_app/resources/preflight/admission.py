"""What looks at each object on the destination before it is stored: webhooks and policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clusters.texts import Text, counted, listed, said
from migrations_app.resources.marks import labels_of
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.facts import Unreadable
from migrations_app.resources.preflight.matching import coming, concerns, has_conditions
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import items, section

WEBHOOKS = Check("admission-webhooks", said("Admission webhooks"))
POLICIES = Check("admission-policies", said("Admission policies"))
GROUP = "admissionregistration.k8s.io"
CONFIGURATIONS = (
    ("MutatingWebhookConfiguration", f"mutatingwebhookconfigurations.{GROUP}"),
    ("ValidatingWebhookConfiguration", f"validatingwebhookconfigurations.{GROUP}"),
)


@dataclass(frozen=True)
class Webhook:
    """One webhook of a configuration on the destination, and the objects that it would be asked about."""

    kind: str
    configuration: str
    webhook: Object
    names: tuple[str, ...]

    @property
    def may_be_left_out(self) -> bool:
        """Whether the API server may leave it unasked for reasons that only it can see, or goes on without it."""
        return has_conditions(self.webhook) or self.webhook.get("failurePolicy") == "Ignore"

    def __str__(self) -> str:
        return f"{self.kind} {self.configuration}"


def webhooks(context: Context) -> Iterator[Result]:
    """Webhooks that would be asked, and whether somebody answers."""
    asked = list(_asked(context))
    working = []
    for each in asked:
        service = section(each.webhook, "clientConfig", "service")
        if not service or (is_up := _is_up(context, service)):
            working.append(each)
            continue
        place = f"{service.get('namespace')}/{service.get('name')}"
        names = list(each.names)
        values = {
            "webhook": each,
            "destination": context.destination,
            "names": listed(names),
            "place": place,
            "policy": each.webhook.get("failurePolicy") or "Fail",
        }
        ignored = each.webhook.get("failurePolicy") == "Ignore"
        if is_up is None:
            yield WEBHOOKS.warning(
                said(
                    "{webhook} of the {destination} may be asked about {names}, and whether its Service {place} is up "
                    "cannot be seen.",
                    **values,
                )
                if has_conditions(each.webhook)
                else said(
                    "{webhook} of the {destination} is asked about {names}, and whether its Service {place} is up "
                    "cannot be seen.",
                    **values,
                ),
                names,
                why=said("If nobody answers, the API server refuses these objects."),
                remedy=said("See whether its pods run."),
                command=f"{context.destination.kubectl} get endpointslices -n {service.get('namespace')}",
            )
            continue
        make = WEBHOOKS.warning if each.may_be_left_out else WEBHOOKS.failure
        yield make(
            said(
                "{webhook} of the {destination} may be asked about {names}, and nobody answers behind its Service "
                "{place} (failurePolicy {policy}).",
                **values,
            )
            if has_conditions(each.webhook)
            else said(
                "{webhook} of the {destination} is asked about {names}, and nobody answers behind its Service {place} "
                "(failurePolicy {policy}).",
                **values,
            ),
            [str(each), *names],
            why=_consequence(each, ignored=ignored),
            remedy=said("Mend what runs the webhook, or remove its configuration if it is left over."),
            command=f"{context.destination.kubectl} get pods -n {service.get('namespace')}",
        )
    if working:
        configurations = listed(dict.fromkeys(str(each) for each in working))
        yield WEBHOOKS.passed(
            counted(
                len(working),
                "{n} webhook is asked about what comes, and can be reached: {configurations}.",
                "{n} webhooks are asked about what comes, and can be reached: {configurations}.",
                configurations=configurations,
            )
        )
    elif not asked and context.planned:
        yield WEBHOOKS.passed(
            said("No webhook of the {destination} is asked about what comes.", destination=context.destination)
        )


def _consequence(webhook: Webhook, *, ignored: bool) -> Text:
    if ignored:
        return said("The API server waits for it in vain, and then lets the objects in.")
    if has_conditions(webhook.webhook):
        return said(
            "The API server would refuse those of these objects that meet its matchConditions, which only it can tell."
        )
    return said("The API server would refuse these objects (failed calling webhook).")


def _asked(context: Context) -> Iterator[Webhook]:
    every = list(coming(context))
    for kind, resource in CONFIGURATIONS:
        for configuration in context.destination.list(resource):
            for webhook in items(configuration, "webhooks"):
                names = tuple(name for name, obj in every if concerns(context, webhook, obj))
                if names:
                    yield Webhook(kind, configuration["metadata"]["name"], webhook, names)


def _is_up(context: Context, service: Object) -> bool | None:
    """Whether a pod stands behind the Service; None where that may not be seen."""
    namespace, name = str(service.get("namespace")), str(service.get("name"))
    try:
        slices = context.destination.list("endpointslices.discovery.k8s.io", namespace)
    except Unreadable:
        return None
    return any(
        section(endpoint, "conditions").get("ready") is not False
        for each in slices
        if labels_of(each).get("kubernetes.io/service-name") == name
        for endpoint in items(each, "endpoints")
    )


def policies(context: Context) -> Iterator[Result]:
    """ValidatingAdmissionPolicies that are bound with Deny and concern what comes: the dry run shows what they say."""
    found = context.destination.named(f"validatingadmissionpolicies.{GROUP}")
    denying = {
        str(section(each, "spec").get("policyName"))
        for each in context.destination.list(f"validatingadmissionpolicybindings.{GROUP}")
        if "Deny" in (section(each, "spec").get("validationActions") or ())
    }
    for name in sorted(denying & set(found)):
        matching = section(found[name], "spec", "matchConstraints")
        as_webhook = {
            "rules": matching.get("resourceRules"),
            "excludeRules": matching.get("excludeResourceRules"),
            "matchPolicy": matching.get("matchPolicy"),
            "objectSelector": matching.get("objectSelector"),
            "namespaceSelector": matching.get("namespaceSelector"),
        }
        objects = [name for name, obj in coming(context) if concerns(context, as_webhook, obj)]
        if objects:
            rules = [
                str(each.get("message") or each.get("expression"))
                for each in items(section(found[name], "spec"), "validations")
            ]
            values = {
                "name": name,
                "destination": context.destination,
                "objects": listed(objects),
                "rules": listed(rules, 3),
            }
            yield POLICIES.warning(
                said("ValidatingAdmissionPolicy {name} of the {destination} may judge {objects}: {rules}.", **values)
                if has_conditions(section(found[name], "spec"))
                else said("ValidatingAdmissionPolicy {name} of the {destination} judges {objects}: {rules}.", **values),
                [f"ValidatingAdmissionPolicy {name}", *objects],
                why=said("The API server refuses objects that do not meet it."),
                remedy=said(
                    "See in the plan's dry run whether they do; change them by a rule of the migration if not."
                ),
                command=f"{context.destination.kubectl} get validatingadmissionpolicy {name} -o yaml",
            )
