"""The Portworx engine: Stork does the moving; we write its Migration, follow it, and say what it leaves unsaid.

    engine.py         which step comes next
    survey.py         the look around before anything is touched: the plan, and the first stage
    findings.py       what that look finds, in one value
    consequences.py   what people would meet afterwards
    storage.py        what Portworx itself says: its licence, and the facts of each volume
    asking.py         from our spec to Stork's, and the Migration object on the source
    following.py      one look at the Migration while Stork works
    rows.py           volumes and resources as Stork's status has them
    telling.py        Stork's Kubernetes events in our log, each occurrence once
    stuck.py          what keeps Stork from going on, in plain words, and when to give up
    verification.py   the verdict: Stork's own, and what is seen on the destination
    ending.py         cancelling, and what is left behind after a verdict
    importing.py      Migrations that others made

Every step can be repeated, and may die anywhere: the Migration's name is the migration's, it carries our label, and
rows are written after the cluster, in one transaction with the renewal of the lease.
"""
