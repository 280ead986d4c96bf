"""Kubernetes quantities such as `8Gi` and `250m` as numbers."""

from __future__ import annotations

import re
from decimal import Decimal

# k8s.io/apimachinery/pkg/api/resource/quantity.go
SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
SUFFIXES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
FORM = re.compile(r"([+-]?[0-9.]+)(?:([kMGTPE]i?|Ki|m)|[eE]([+-]?\d+))?")


def to_number(quantity: str | int | float) -> Decimal:
    """The quantity as it is: cores, bytes or pieces. Raises ValueError."""
    found = FORM.fullmatch(str(quantity).strip())
    if not found:
        raise ValueError(f"not a quantity: {quantity}")
    number, suffix, exponent = Decimal(found[1]), found[2] or "", found[3]
    if exponent is not None:
        factor = Decimal(10) ** int(exponent)
    else:
        factor = Decimal("0.001") if suffix == "m" else Decimal(SUFFIXES[suffix])
    return number * factor


def to_bytes(quantity: str | int) -> int:
    """The quantity in bytes, rounded up. Raises ValueError."""
    return int(to_number(quantity).to_integral_value(rounding="ROUND_CEILING"))


def to_text(count: int) -> str:
    """Bytes for people, in binary units."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
