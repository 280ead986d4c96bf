"""Stork's Migrations as Stork's users know them: as text, and those that somebody else made.

texts.py       `storkctl get migration` and `kubectl describe migration`, from the object as it is now
importing.py   Migrations of the source that no row follows yet, and rows for them
views.py, api.py, urls.py   their pages and their part of the API
"""
