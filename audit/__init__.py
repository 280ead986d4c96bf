"""The history: who did what, when, from where, and what changed. The lowest layer: it imports no other application."""
