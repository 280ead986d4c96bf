"""The native engine: mover Jobs carry the volumes through the object store; we carry the objects ourselves.

    engine.py         which stage comes next
    wanted.py         what is asked for, in one value
    survey.py         the look around before anything is touched: the plan, and the first stage
    checks.py         the engine's own part of the preflight: namespaces, claims, the movers' power
    manifests.py      Jobs, Secrets, claims and namespaces as plain dicts
    pod_options.py    what the installation's settings say of all movers' pods
    privileges.py     with which power a mover runs: root with few capabilities, or nobody in particular
    letting_in.py     whether a cluster lets such a pod into a namespace
    placement.py      on which nodes movers run, and how many at once
    topology.py       where a disk that is yet to come may be, for the sake of the application's pods
    settling.py       power and place, asked of the clusters for one volume, and with which others it fits in a pod
    sharing.py        several small volumes in one Job
    snapshots.py      claims that are read from a snapshot
    places.py         namespaces and claims on the destination
    keys.py           movers' temporary keys, where the object store gives such
    movers.py         a volume's two movers and their Jobs: started, looked at, ended
    measuring.py      from progress lines to bars, a rate and the time to go
    volumes.py        the stage Volumes
    starting.py       its beginning: claims, then Jobs, as many as there is room for
    looking.py        its looks at movers under way, and the verdict on each volume
    notes.py          what such a look writes down, at once
    applications.py   the stage Applications
    verification.py   the stage Final: is all there, and does it run?
    cleanup.py        clean-up after a verdict, and the way back of a cancelled migration

Every step can be repeated, and may die anywhere: names are derived from the migration, so that a step finds its own
earlier work; everything that we create carries the label `kubemotion.io/migration`; rows are written after the
clusters, in one transaction with the renewal of the lease, so that a worker that lost it writes nothing.
"""
