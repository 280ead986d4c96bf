"""Stork's schedules of a Portworx pair: what migrates again and again, and how its applications change sides.

Nothing of it is stored here: the objects in the clusters are the truth, read when a page asks and written by what it
does. The history tells who did it.

    overview.py   what there is on both clusters
    services.py   what people do with it; pages and API call these
    forms.py, views.py, urls.py, api.py   the doors
"""
