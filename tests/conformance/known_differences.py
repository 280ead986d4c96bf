"""Where the simulated clusters are known to answer otherwise than a real one, and why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.conformance.comparison import Difference


class Known(NamedTuple):
    """A difference at places whose dotted path matches the pattern; `step` None means every step of the scenario.

    `always` says that it must be there; otherwise it depends on the moment at which a controller acts.
    """

    scenario: str
    step: int | None
    path: str
    reason: str
    always: bool = True

    def covers(self, scenario: str, step: int, difference: Difference) -> bool:
        return self.scenario == scenario and self.step in (None, step) and fnmatchcase(difference.path, self.path)


RECORDER = (
    "The recording program put its next request's status into the answer that it was about to write down: the list one "
    "step earlier has the same resourceVersion and the old status."
)
MESSAGE_WITH_DIFF = "The real server appends a diff of Go's structs, with their Go names."
RESOLVER = "What a lookup fails with depends on the network: here the name is unknown, there nobody answered."
ASKED_EARLY = "The recording asked before the Deployment's controller had counted its pods; the replay waits for it."
CLAIM_FIRST = "The recorded scheduler saw the pod before its claim was bound, and said so in a condition for a moment."
TRIED_AGAIN = "How often the scheduler and the kubelet have tried again by now, and say so, depends on their pauses."
RESTARTS = "The container crashes again and again, and the image is asked for again and again, while the replay asks."
PLANTED = "The replay plants the node by one request; there its kubelet and the controller manager had made it."
EMPTYING = "The recording saw the namespace before its controller had counted what remains."

KNOWN: list[Known] = [
    Known("custom_resources", 14, "body.status.stage", RECORDER),
    Known("controllers", 15, "body.message", MESSAGE_WITH_DIFF),
    Known("controllers", 15, "body.details.causes.0.message", MESSAGE_WITH_DIFF),
    Known("controllers", 22, "body.metadata.managedFields*", CLAIM_FIRST, always=False),
    Known("controllers", 31, "body.status.conditions.[34].*", EMPTYING, always=False),
    Known("node_pods", 15, "body.status.containerStatuses.0.state.waiting.message", RESOLVER),
    Known("node_pods", 14, "body.status.containerStatuses.0.*", RESTARTS, always=False),
    Known("node_pods", 15, "body.status.containerStatuses.0.state.waiting.reason", RESTARTS, always=False),
    Known("node_pods", 22, "body.rows.[16].cells", RESTARTS, always=False),
    Known("node_pods", 23, "body.items*", TRIED_AGAIN, always=False),
    Known("node_pods", 24, "body.items.0.status.containerStatuses.0.*", RESTARTS, always=False),
    Known("node_pods", 26, "body.items.0.metadata.managedFields*", PLANTED),
    *(
        Known("patches", step, f"body.{path}", ASKED_EARLY, always=False)
        for step in (1, 5, 6, 7, 13, 14)
        for path in (
            "status.conditions*",
            "status.observedGeneration",
            "status.*eplicas",
            "metadata.annotations.deployment.kubernetes.io/revision",
            "metadata.managedFields.*.fieldsV1.f:status.*",
        )
    ),
    Known("patches", 11, "body.status.replicas", ASKED_EARLY, always=False),
    Known("patches", 12, "body.status.replicas", ASKED_EARLY, always=False),
    *(
        Known("server_side_apply", step, f"body.{path}", ASKED_EARLY, always=False)
        for step in (10, 12)
        for path in ("status*", "metadata.managedFields.*.fieldsV1.f:status.*")
    ),
]
