"""What Stork's Warning events about a Migration mean, and what to do: Stork itself leaves stage and status blank.

The texts are those that a real Stork 24 was seen to write, or that its source has (pkg/migration/controllers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusters.texts import N_, Text, said

Object = dict[str, Any]


@dataclass(frozen=True)
class Complaint:
    """One cause in plain words, what to do about it, and Stork's own words."""

    cause: Text
    remedy: Text
    said: str

    def __str__(self) -> Text:
        return said("{cause} {remedy} (Stork says: {words})", cause=self.cause, remedy=self.remedy, words=self.said)


# Noise of Stork itself: two of its loops wrote at once, and it tries again.
NOISE = re.compile(r"Operation cannot be fulfilled on .* the object has been modified|Waiting for PreExecRule")

# Pattern of the message, the cause and the remedy; the pattern's groups are filled in.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"error getting clusterpair (?P<name>\S*) \((?P<namespace>\S*)\): .*not found",
        N_("There is no ClusterPair {name} in namespace {namespace} of the source cluster."),
        N_("Set the pair up again on its page, in the namespace in which the Migration is."),
    ),
    (
        r"cluster pair storage status is not ready\. Status: (?P<status>\S*) Err:",
        N_("The storage of the two clusters is not paired: the ClusterPair's storage status is {status}."),
        N_("Look at the pair's page: it says why, and pairs again."),
    ),
    (
        r"scheduler Cluster pair is not ready\. Status: (?P<status>\S*)",
        N_("The source cannot reach the destination's API server: the ClusterPair's scheduler status is {status}."),
        N_("Check the server address and the credentials in the ClusterPair, on the pair's page."),
    ),
    (
        r"migration namespaces should only contain the current namespace",
        N_("Stork lets a Migration outside of its admin namespace be about its own namespace only."),
        N_("Migrate that namespace alone, or use a pair whose ClusterPair is in kube-system."),
    ),
    (
        r"no valid namespace found based on the provided",
        N_("None of the namespaces, and none that the namespace selectors select, exists on the source."),
        N_("Correct the namespaces or the labels."),
    ),
    (
        r'error getting namespace (?P<namespace>[^\s:]+): namespaces "[^"]*" not found',
        N_("The source has no namespace {namespace}, and missing namespaces are not skipped."),
        N_("Correct the name, or set skipDeletedNamespaces."),
    ),
    (
        r"Error getting (?P<which>Pre|Post)ExecRule (?P<rule>\S+): .*not found",
        N_("There is no Rule {rule} in the Migration's namespace."),
        N_("Make the Rule there, or leave it out."),
    ),
    (
        r"Error running (?P<which>Pre|Post)ExecRule: (?P<why>.*)",
        N_("The {which}ExecRule failed: {why}."),
        N_("Run its command by hand in the pod that it selects, and mend the Rule."),
    ),
    (
        r"providing multiple transformation specs is not supported",
        N_("Stork takes one ResourceTransformation, and several were given."),
        N_("Put the transformations into one object."),
    ),
    (
        r'resourcetransformations\.stork\.libopenstorage\.org "(?P<name>[^"]+)" not found',
        N_("There is no ResourceTransformation {name} in a namespace that is migrated; each of them needs it."),
        N_("Make it there, or leave it out."),
    ),
    (
        r"transformation (?P<name>\S+) is not in ready state: (?P<status>\S*)",
        N_("The ResourceTransformation {name} is not Ready but {status}: Stork's trial of it in the source failed."),
        N_("Describe the ResourceTransformation: its resources say what failed. Make it anew under another name."),
    ),
    (
        r"clusterPair to migrate to cannot be empty",
        N_("The Migration names no ClusterPair."),
        N_("Set spec.clusterPair."),
    ),
    (
        r"migrated applications are active on remote cluster",
        N_("The applications that were migrated run on the destination, so that Stork does not migrate over them."),
        N_("Deactivate them there first (storkctl deactivate migrations)."),
    ),
    (
        r"local clusterdomain is inactive",
        N_("The source's cluster domain is inactive."),
        N_("Activate it (storkctl activate clusterdomain), or migrate from the active side."),
    ),
    (
        r"Unable to find migration status for volume",
        N_("Portworx does not know the transfer of a volume any more."),
        N_("Start a new migration; look at the Portworx pods, which may have been started again meanwhile."),
    ),
    (
        r"(?:Error migrating volume (?P<volume>[^\s:]+): )?Migration (?P<stage>\w+) failed for volume: (?P<why>.*)",
        N_("Portworx could not carry a volume ({stage}): {why}."),
        N_("Check the credentials in the object store on both clusters, and that it has room."),
    ),
    (
        r"(?:Error migrating volume (?P<volume>[^\s:]+): )?Migration (?P<stage>\w+) canceled for volume",
        N_("The transfer of a volume was cancelled in Portworx."),
        N_("Start a new migration."),
    ),
)
PATTERNS = tuple((re.compile(pattern), cause, remedy) for pattern, cause, remedy in KNOWN)


def explained(message: str) -> Complaint:
    """What the message means; words of Stork that are not known are given as they are."""
    for pattern, cause, remedy in PATTERNS:
        if found := pattern.search(message):
            named = {key: (value or "").rstrip(".") or said("blank") for key, value in found.groupdict().items()}
            return Complaint(said(cause, **named), said(remedy), message)
    return Complaint(said("Stork cannot go on."), said("Look at Stork's log on the source for more."), message)


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
