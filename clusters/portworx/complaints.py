"""What Stork's Warning events about a Migration mean, and what to do: Stork itself leaves stage and status blank.

The texts are those that a real Stork 24 was seen to write, or that its source has (pkg/migration/controllers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Complaint:
    """One cause in plain words, what to do about it, and Stork's own words."""

    cause: str
    remedy: str
    said: str

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy} (Stork says: {self.said})"


# Noise of Stork itself: two of its loops wrote at once, and it tries again.
NOISE = re.compile(r"Operation cannot be fulfilled on .* the object has been modified|Waiting for PreExecRule")

# Pattern of the message, the cause and the remedy; the pattern's groups are filled in.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"error getting clusterpair (?P<name>\S*) \((?P<namespace>\S*)\): .*not found",
        "There is no ClusterPair {name} in namespace {namespace} of the source cluster.",
        "Set the pair up again on its page, in the namespace in which the Migration is.",
    ),
    (
        r"cluster pair storage status is not ready\. Status: (?P<status>\S*) Err:",
        "The storage of the two clusters is not paired: the ClusterPair's storage status is {status}.",
        "Look at the pair's page: it says why, and pairs again.",
    ),
    (
        r"scheduler Cluster pair is not ready\. Status: (?P<status>\S*)",
        "The source cannot reach the destination's API server: the ClusterPair's scheduler status is {status}.",
        "Check the server address and the credentials in the ClusterPair, on the pair's page.",
    ),
    (
        r"migration namespaces should only contain the current namespace",
        "Stork lets a Migration outside of its admin namespace be about its own namespace only.",
        "Migrate that namespace alone, or use a pair whose ClusterPair is in kube-system.",
    ),
    (
        r"no valid namespace found based on the provided",
        "None of the namespaces, and none that the namespace selectors select, exists on the source.",
        "Correct the namespaces or the labels.",
    ),
    (
        r'error getting namespace (?P<namespace>[^\s:]+): namespaces "[^"]*" not found',
        "The source has no namespace {namespace}, and missing namespaces are not skipped.",
        "Correct the name, or set skipDeletedNamespaces.",
    ),
    (
        r"Error getting (?P<which>Pre|Post)ExecRule (?P<rule>\S+): .*not found",
        "There is no Rule {rule} in the Migration's namespace.",
        "Make the Rule there, or leave it out.",
    ),
    (
        r"Error running (?P<which>Pre|Post)ExecRule: (?P<why>.*)",
        "The {which}ExecRule failed: {why}.",
        "Run its command by hand in the pod that it selects, and mend the Rule.",
    ),
    (
        r"providing multiple transformation specs is not supported",
        "Stork takes one ResourceTransformation, and several were given.",
        "Put the transformations into one object.",
    ),
    (
        r'resourcetransformations\.stork\.libopenstorage\.org "(?P<name>[^"]+)" not found',
        "There is no ResourceTransformation {name} in a namespace that is migrated; each of them needs it.",
        "Make it there, or leave it out.",
    ),
    (
        r"transformation (?P<name>\S+) is not in ready state: (?P<status>\S*)",
        "The ResourceTransformation {name} is not Ready but {status}: Stork's trial of it in the source failed.",
        "Describe the ResourceTransformation: its resources say what failed. Make it anew under another name.",
    ),
    (
        r"clusterPair to migrate to cannot be empty",
        "The Migration names no ClusterPair.",
        "Set spec.clusterPair.",
    ),
    (
        r"migrated applications are active on remote cluster",
        "The applications that were migrated run on the destination, so that Stork does not migrate over them.",
        "Deactivate them there first (storkctl deactivate migrations).",
    ),
    (
        r"local clusterdomain is inactive",
        "The source's cluster domain is inactive.",
        "Activate it (storkctl activate clusterdomain), or migrate from the active side.",
    ),
    (
        r"Unable to find migration status for volume",
        "Portworx does not know the transfer of a volume any more.",
        "Start a new migration; look at the Portworx pods, which may have been started again meanwhile.",
    ),
    (
        r"(?:Error migrating volume (?P<volume>[^\s:]+): )?Migration (?P<stage>\w+) failed for volume: (?P<why>.*)",
        "Portworx could not carry a volume ({stage}): {why}.",
        "Check the credentials in the object store on both clusters, and that it has room.",
    ),
    (
        r"(?:Error migrating volume (?P<volume>[^\s:]+): )?Migration (?P<stage>\w+) canceled for volume",
        "The transfer of a volume was cancelled in Portworx.",
        "Start a new migration.",
    ),
)
PATTERNS = tuple((re.compile(pattern), cause, remedy) for pattern, cause, remedy in KNOWN)


def explained(message: str) -> Complaint:
    """What the message means; words of Stork that are not known are given as they are."""
    for pattern, cause, remedy in PATTERNS:
        if found := pattern.search(message):
            named = {key: (value or "").rstrip(".") or "blank" for key, value in found.groupdict().items()}
            return Complaint(cause.format(**named), remedy, message)
    return Complaint("Stork cannot go on.", "Look at Stork's log on the source for more.", message)


def newest(events: Iterable[Object]) -> Complaint | None:
    """The last Warning that is not noise, explained. Failures of single volumes and objects are told elsewhere.

    That a missing namespace is skipped keeps nothing from going on, and counts only where nothing else is said.
    """
    found: Complaint | None = None
    for event in sorted(events, key=lambda each: str(each.get("lastTimestamp") or ""), reverse=True):
        message, reason = str(event.get("message") or ""), str(event.get("reason") or "")
        if event.get("type") != "Warning" or NOISE.search(message) or ", Kind=" in message:
            continue
        if "skipping migration" not in reason:
            return explained(message)
        found = found or explained(f"{reason}: {message}")
    return found
