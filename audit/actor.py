"""Who acts: a signed-in person or token behind a request, or the product itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit import context


@dataclass(frozen=True)
class Actor:
    """The person (or the product, when `user` is None) on whose behalf something is done, and from where."""

    user: Any = None
    address: str = ""
    user_agent: str = ""
    request_id: str = ""

    @property
    def name(self) -> str:
        return self.user.get_username() if self.user is not None else "system"

    @classmethod
    def of(cls, request: Any) -> Actor:
        """The actor of a Django or REST framework request."""
        return cls(
            user=request.user if request.user.is_authenticated else None,
            address=request.META.get("REMOTE_ADDR", "") or "",
            user_agent=request.META.get("HTTP_USER_AGENT", "")[:300],
            request_id=context.request_id.get(),
        )


SYSTEM = Actor()
