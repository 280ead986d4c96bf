"""Plans: what a migration would do to every object, seen and trusted before anything is touched.

    models.py      a plan, its objects and its suggestions
    services.py    what people ask of a plan: make, look again, choose what goes along, migrate, remove
    compute.py     one look at one plan, as `reconcile` takes one at a migration
    suggesting.py  texts that name Services of renamed namespaces, taken over as rules or dismissed
    reading.py     what pages and answers show of a plan: counts, the tree, rows that fit a filter
    contents.py    one object as it is on the source, as it is to be, and as the destination has it
    export.py      a plan as a folder of YAML files that `kubectl apply` takes in order

A plan holds no object's content, only what was found out about it and the texts that it suggests to change; whatever
needs the content asks the clusters again. So no value of a Secret can be in the database, and five thousand objects
make a plan of a few megabytes.
"""
