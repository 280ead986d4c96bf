"""How long the controllers wait where a real cluster waits longer; the demo and the tests should not."""

from __future__ import annotations

# A real Job controller begins with 10 seconds and goes up to 10 minutes.
JOB_BACKOFF_SECONDS = 1.0
JOB_BACKOFF_LIMIT_SECONDS = 60.0
# A real kubelet begins with 10 seconds and goes up to 5 minutes.
RESTART_BACKOFF_SECONDS = 2.0
RESTART_BACKOFF_LIMIT_SECONDS = 60.0
# A real kubelet begins with 10 seconds.
IMAGE_BACKOFF_SECONDS = 5.0
# How soon what a pod lacks (a Secret, a volume) is looked for again.
LOOK_AGAIN_SECONDS = 1.0
# How often a stream that follows a log looks for more.
FOLLOW_SECONDS = 0.1
# A real kubelet brings changed Secrets and ConfigMaps into running pods within a minute or two.
REFRESH_SECONDS = 1.0
