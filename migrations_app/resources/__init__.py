"""Kubernetes objects on their way from one cluster to another: plain dicts in and out, no Django, no models.

    collect.py     what belongs to the application
    subjects.py    whom a binding names
    transform.py   what must change for another cluster
    order.py       what has to be there before what
    apply.py       onto the destination, without overwriting what is not ours
    check.py       whether it is all there, and ready

PersistentVolumes and claims are not among the objects: volumes travel by themselves, and the engine makes their claims.
"""
