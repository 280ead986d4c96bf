"""Migrations: models, the state machine that drives them, their engines, events, pages and API.

How a migration moves: `services.start` writes a row; `tasks.sweep` finds it due; `reconcile.reconcile` takes its lease
and asks its engine for one short, repeatable step; the step writes rows and events; `live` pushes what changed to the
browsers that watch. Anything may die after any line: the next look begins from the row and from both clusters.
"""
