"""Portworx and Stork as their command-line tools see them: what to ask, what to write, how to read the answers.

    migration.py   Stork's Migration: the manifest from a plain value, the status as a plain value
    tables.py      text in columns, as Go's tabwriter lays it out; `storkctl get migration`
    describe.py    `kubectl describe` of any object without a describer of its own
    durations.py   durations and ages, as Go, kubectl and Stork write them

No Django. Nothing here talks to a cluster but through the connection that it is given.
"""
