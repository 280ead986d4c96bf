"""What an administrator would type for each step of a pair, for copying; secrets are left to fill in."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from clusters.portworx.credentials import AMAZON, name_for
from clusters.portworx.endpoint import SERVICE

POD = "PX_POD=$(oc --context {context} get pods -l name=portworx -n {px} -o jsonpath='{{.items[0].metadata.name}}')"
EXEC = "oc --context {context} -n {px} exec $PX_POD -- /opt/pwx/bin/pxctl {words}"


@dataclass(frozen=True)
class Names:
    """What the commands name; contexts of the kubeconfig are named like the clusters."""

    source: str
    destination: str
    namespace: str
    name: str
    source_px: str = "kube-system"
    destination_px: str = "kube-system"
    uuid: str = "<UUID of the destination>"
    provider: str = "s3"
    # Azure's storage account, or Google's project.
    account: str = ""
    region: str = "us-east-1"
    endpoint: str = AMAZON
    bucket: str = ""
    disable_ssl: bool = False
    host: str = "<load balancer>"
    port: int = 9001
    mode: str = ""
    # The BackupLocation; empty where Portworx' own credentials are used.
    location: str = ""


def commands(names: Names) -> dict[str, str]:
    """The lines of each step by its code."""
    source, destination = shlex.quote(names.source), shlex.quote(names.destination)
    there = POD.format(context=destination, px=names.destination_px)
    here = POD.format(context=source, px=names.source_px)
    mode = f", mode: {names.mode}" if names.mode else ""
    location = f", backuplocation: {names.location}" if names.location else ""
    return {
        "clusters": "\n".join(
            f"oc --context {context} get nodes\noc --context {context} get pods -l name=portworx -n {px}"
            for context, px in ((source, names.source_px), (destination, names.destination_px))
        ),
        "uuid": f"{there}\n{_pxctl(destination, names.destination_px, 'status')}",
        "credentials-destination": _credentials(names, there, destination, names.destination_px),
        "credentials-source": _credentials(names, here, source, names.source_px),
        "token": f"{there}\n{_pxctl(destination, names.destination_px, 'cluster token show')}",
        "endpoint": f"oc --context {destination} describe svc {SERVICE} -n {names.destination_px}",
        "document": (
            f"storkctl --context {destination} generate clusterpair -n {names.namespace} {names.name} "
            f"> clusterpair.yaml\n"
            f'# under options: {{ip: {names.host}, port: "{names.port}", token: <token>{mode}{location}}}'
        ),
        "applied": (
            f"oc --context {source} apply -f clusterpair.yaml\n"
            f"oc --context {source} get clusterpair -n {names.namespace}"
        ),
        "status": f"storkctl --context {source} -n {names.namespace} get clusterpair",
        **_removing(names, source, destination, here, there),
    }


def _removing(names: Names, source: str, destination: str, here: str, there: str) -> dict[str, str]:
    """The lines that take the pair down, by the code of the step."""
    delete = f"credentials delete {name_for(names.uuid)}"
    return {
        "object": f"oc --context {source} delete clusterpair {names.name} -n {names.namespace}",
        "location": "\n".join(
            f"oc --context {context} delete backuplocation,secret {names.location or names.name} -n {names.namespace}"
            for context in (source, destination)
        ),
        "credentials": (
            f"{there}\n{_pxctl(destination, names.destination_px, delete)}\n"
            f"{here}\n{_pxctl(source, names.source_px, delete)}"
        ),
    }


def _pxctl(context: str, px: str, words: str) -> str:
    return EXEC.format(context=context, px=px, words=words)


def _credentials(names: Names, pod: str, context: str, px: str) -> str:
    if names.location:
        return (
            f"storkctl create clusterpair {names.name} -n {names.namespace} --unidirectional "
            "--src-kube-file <kubeconfig of the source> --dest-kube-file <kubeconfig of the destination> "
            f"--provider {names.provider} {_flags(names, of_storkctl=True)}\n"
            f"oc --context {context} get secret,backuplocation {names.location} -n {names.namespace}"
        )
    credential = name_for(names.uuid)
    words = f"credentials create --provider {names.provider} {_flags(names)} {credential}"
    validate = _pxctl(context, px, f"credentials validate {credential}")
    return f"{pod}\n{_pxctl(context, px, words)}\n{validate}"


def _flags(names: Names, *, of_storkctl: bool = False) -> str:
    """The flags that name the store and its keys, as pxctl and storkctl call them."""
    bucket = f" --bucket {shlex.quote(names.bucket)}" if names.bucket else ""
    account = shlex.quote(names.account or "<account>")
    match names.provider:
        case "azure":
            return f"--azure-account-name {account} --azure-account-key <account key>{bucket}"
        case "google":
            file = "--google-key-file-path" if of_storkctl else "--google-json-key-file"
            return f"--google-project-id {account} {file} <file of the JSON key>{bucket}"
    plain = "--disable-ssl" if of_storkctl else "--s3-disable-ssl"
    return (
        "--s3-access-key <access key> --s3-secret-key <secret key> "
        f"--s3-region {names.region} --s3-endpoint {names.endpoint}{f' {plain}' if names.disable_ssl else ''}{bucket}"
    )
