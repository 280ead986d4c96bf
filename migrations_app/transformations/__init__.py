"""Rules that change objects on their way, kept by a team under a name; what rules are is in `resources.rules`.

models.py     the row
services.py   add, change, remove, and the copy that a migration keeps
preview.py    what rules do to an object of a cluster, asked now
forms.py, views.py, urls.py, api.py    pages and API
"""
