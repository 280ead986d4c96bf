"""Answers that are asked for once, however many threads want them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps


def once[**P, T](ask: Callable[P, T]) -> Callable[P, T]:
    """The function with its answers kept, by positional arguments. What raises is asked again by the next one."""
    kept: dict[object, T] = {}
    lock = threading.Lock()

    @wraps(ask)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        with lock:
            if args not in kept:
                kept[args] = ask(*args, **kwargs)
            return kept[args]

    return asked
