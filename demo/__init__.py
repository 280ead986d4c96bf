"""The embedded estate: two simulated clusters, an object store, and what is planted in them.

Only `manage.py demo` and tests import this package; production installs the product without it.
"""
