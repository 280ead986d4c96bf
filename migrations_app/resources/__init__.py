"""Kubernetes objects on their way from one cluster to another: plain dicts in and out, no Django, no models.

    spec.py        what was asked for
    collect.py     what belongs to the application, what stays behind, and what it lacks then
      belonging.py        what controllers make again
      selection.py        label selectors, kinds and single objects
      cluster_scoped.py   what lies outside of namespaces
      references.py       what an object refers to
      dependencies.py     which of that does not go along
      notes.py            what is worth knowing
      subjects.py         whom a binding names
    transform.py   what must change for another cluster
    order.py       what has to be there before what
    apply.py       onto the destination, without overwriting what is not ours
    check.py       whether it is all there, and ready

PersistentVolumes and claims are not among the objects: volumes travel by themselves, and the engine makes their claims.
"""
