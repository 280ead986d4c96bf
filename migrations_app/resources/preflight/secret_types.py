"""Secrets that mean nothing on another cluster, and who uses them."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import counted, listed, said
from migrations_app.resources.marks import key_of
from migrations_app.resources.preflight.context import Context, label
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import references

SECRETS = Check("secret-types", said("Secrets that do not travel"))
SEALED = Check("sealed-secrets", said("Sealed Secrets"))
# Made by a controller of the cluster, for that cluster (Kubernetes' and OpenShift's).
OF_THE_CLUSTER = {
    "kubernetes.io/service-account-token": said("is a token of the source cluster, void on any other"),
    "kubernetes.io/dockercfg": said("is OpenShift's key to the source's own registry"),
    "bootstrap.kubernetes.io/token": said("lets nodes join the source cluster"),
}


def secret_types(context: Context) -> Iterator[Result]:
    """Secrets of types that stay behind, which what comes along refers to."""
    users: dict[tuple[str, str], list[str]] = {}
    for obj in context.collected:
        if obj["kind"] == "ServiceAccount":
            # An account's own tokens and keys are made for it again.
            continue
        for each in references(obj):
            if (each.group, each.kind) == ("", "Secret"):
                users.setdefault((each.namespace, each.name), []).append(label(obj))
    travelling = {key_of(obj) for obj in context.collected}
    wrong = 0
    for namespace in context.spec.namespaces:
        for secret in context.source.list("secrets", namespace):
            name, reason = secret["metadata"]["name"], OF_THE_CLUSTER.get(str(secret.get("type")))
            found = list(dict.fromkeys(users.get((namespace, name), ())))
            if reason is None or not found or ("", "Secret", namespace, name) in travelling:
                continue
            wrong += 1
            there = context.spec.namespace_for(namespace)
            yield SECRETS.warning(
                counted(
                    len(found),
                    "Secret {secret} {reason}. It stays behind, and {objects} uses it.",
                    "Secret {secret} {reason}. It stays behind, and {objects} use it.",
                    secret=f"{namespace}/{name}",
                    reason=reason,
                    objects=listed(found),
                ),
                [f"Secret {namespace}/{name}", *found],
                why=said("Pods that mount it wait until a Secret of this name is there."),
                remedy=said(
                    "Make one of the same name and type there, for the account of the same name; or let pods use "
                    "projected tokens."
                ),
                command=_make(context, secret, there)
                if secret.get("type") == "kubernetes.io/service-account-token"
                else f"{context.destination.kubectl} get secrets -n {there}",
            )
    if users and not wrong:
        yield SECRETS.passed(
            counted(
                len(users),
                "None of {n} Secret that is used belongs to the source cluster itself.",
                "None of {n} Secrets that is used belongs to the source cluster itself.",
            )
        )


def _make(context: Context, secret: dict[str, object], namespace: str) -> str:
    metadata = secret["metadata"]
    assert isinstance(metadata, dict)
    account = (metadata.get("annotations") or {}).get("kubernetes.io/service-account.name", "default")
    return "\n".join(
        [
            f"{context.destination.kubectl} apply -n {namespace} -f - <<'EOF'",
            "apiVersion: v1",
            "kind: Secret",
            "type: kubernetes.io/service-account-token",
            "metadata:",
            f"  name: {metadata['name']}",
            f"  annotations: {{kubernetes.io/service-account.name: {account}}}",
            "EOF",
        ]
    )


def sealed_secrets(context: Context) -> Iterator[Result]:
    """SealedSecrets can be opened only with the source controller's key."""
    found = [label(obj) for obj in context.of_type("bitnami.com", "SealedSecret")]
    if found:
        yield SEALED.warning(
            counted(
                len(found),
                "{objects} is sealed for the source's controller.",
                "{objects} are sealed for the source's controller.",
                objects=listed(found),
            ),
            found,
            why=said(
                "Another cluster's controller has another key and cannot open them; the Secrets themselves come along."
            ),
            remedy=said("Seal them anew for the destination, or give its controller the source's key."),
            command=f"{context.source.kubectl} get secret -A -l sealedsecrets.bitnami.com/sealed-secrets-key",
        )
