"""Pairs of the engine portworx on their clusters: set up, validated, followed and taken down.

options.py    what is chosen for a pair: which ClusterPair, over which endpoint, how
steps.py      the steps that one does by hand, and how far each is
jobs.py       one job at a time per pair, look after look, whatever is killed in between
work.py       what a look has at hand: both clusters, their Portworx, the keys
doing.py      the steps of setting up and of validating, in order; what each does stands in
              reading.py (both clusters, token, endpoint), keeping_keys.py (credentials, BackupLocation),
              writing.py (the ClusterPair) and hearing.py (what Stork says of it)
objects.py    what of a pair's objects is there, and what differs from what is wanted
removing.py   the steps of taking down
importing.py  ClusterPairs that others made, as pairs of ours
documents.py  the steps with their commands, and the ClusterPair as text, for people to read
"""
