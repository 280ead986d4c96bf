"""Preflight: what stands in the way of a migration, found before anything is touched.

    run.py             all checks, side by side; the list of them
    result.py          one result: a code, pass, warning or failure, and what a person needs to act on it
    facts.py           one cluster, each thing asked once
    context.py         both sides, what was asked for, and what would come to be
    workloads.py       the pods that the objects bring along
    access.py, roles.py            what an account may do, and the least role that is enough
    usage.py, pod_standards.py     how quotas count, and the Pod Security Standards

Every other module is a theme: functions that look at a Context and yield results. Nothing here writes: only reads,
access reviews and dry runs go out. `docs/preflight.md` has a row for every code.
"""
