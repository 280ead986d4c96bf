"""Portworx and Stork as their command-line tools see them: what to ask, what to write, how to read the answers.

    errors.py         what can go wrong, with messages for people
    pods.py           a Portworx pod, and `pxctl` in it
    pxctl.py          reading what `pxctl` prints: tables, sizes, credentials, tokens, licences
    status.py         reading `pxctl status`
    inspection.py     reading `pxctl volume inspect`
    discovery.py      what is installed in a cluster, and how it is
    volumes.py        an application's namespace: its objects, and the facts of each claim's volume
    credentials.py    object-store credentials inside Portworx
    endpoint.py       where the destination's Portworx is reached
    clusterpair.py    the ClusterPair document as `storkctl generate clusterpair` writes it
    backuplocation.py Secret and BackupLocation, as `storkctl create clusterpair` makes them
    following.py      what Stork says of a ClusterPair, in plain words
    by_hand.py        a pair by hand, for copying
    migration.py      Stork's Migration: the manifest from a plain value, the status as a plain value
    tables.py         text in columns, as Go's tabwriter lays it out; `storkctl get migration`
    describe.py       `kubectl describe` of any object without a describer of its own
    schedules.py      MigrationSchedules; policies.py when they run; rules.py what runs in pods before and after
    actions.py        failover and failback
    activation.py     what storkctl activates and deactivates
    durations.py      durations and ages, as Go, kubectl and Stork write them

No Django. Nothing here talks to a cluster but through the connection that it is given.
"""
