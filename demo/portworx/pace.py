"""How long Stork and Portworx take: a real Stork looks every ten seconds, and two after an error."""

from __future__ import annotations

CYCLE_SECONDS = 1.0
RETRY_SECONDS = 0.3
# How often a running transfer is asked how far it is.
POLL_SECONDS = 0.2
# How long a program waits for another cluster or an object store that does not answer.
NETWORK_SECONDS = 10.0
# How long a puller waits for what a pusher has said it brought.
PULL_WAIT_SECONDS = 60
STORE_RETRY_SECONDS = 5
# The minute of a schedule's interval, and how long an Action waits for applications to let go of their volumes.
MINUTE_SECONDS = 60.0
SCALE_DOWN_SECONDS = 120.0
