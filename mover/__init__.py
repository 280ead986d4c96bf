"""The data mover: carries one volume through an object store, from a pod on the source to a pod on the destination.

It stands alone (no Django, a handful of packages) and runs as `python -m mover push|pull|verify|digest|clean|gc`.

    push:   walk the tree in canonical order                    pull:   follow the newest run's journal
            read, name, compress, seal blocks in parallel               fetch, open, check, write blocks in parallel
            put packs in parallel                                       when the journal is closed, walk it beside
            put the journal in order, once its packs are there          the restored tree: repair, remove, digest

The journal only ever speaks of packs that are already stored, so a reader may act on every segment as soon as it
appears. A pusher that was killed begins a new run, which takes over what the earlier runs' journals recorded; a puller
turns to the newest run. docs/mover-format.md describes the objects so that somebody else could read them.
"""
