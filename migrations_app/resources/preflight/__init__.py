"""Preflight: what stands in the way of a migration, found before anything is touched.

    result.py      one result: a code, pass, warning or failure, and what a person needs to act on it
    context.py     what is known of both sides, each thing asked once

Nothing here writes: only reads and access reviews go out.
"""
