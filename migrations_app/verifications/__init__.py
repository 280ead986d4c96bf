"""Verify: a finished migration's volumes are read anew on both sides, by Jobs that only read, and compared.

    models.py      what was asked for, and what came of it, for each volume
    services.py    may it be asked for; ask; stop
    steps.py       what workers do, one short step after the other, whichever engine had moved the volumes
    reading.py     one volume's two readers: begun, looked at
    jobs.py        their Jobs and Secrets
    holding.py     claims that one pod holds alone: from a snapshot, or why not, told beforehand
    comparing.py   from what two readers said to the paths that differ
    api.py         how the API shows it

A reader says the digest of its whole tree. Where those of both sides differ, a second look lists only the buckets of
entries whose digests differ (see docs/mover-format.md), and the paths are told with what differs.
"""
