"""Which addresses this server may be sent to: whoever adds a cluster or store chooses where we connect.

Private networks are fine, clusters live there. Addresses that mean "this machine" or "the cloud's metadata service"
are not: from there the answer, or just its absence, would tell what only this server may know.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

# Metadata services that are not link-local: Amazon EC2 over IPv6, Alibaba Cloud, Azure's wire server.
METADATA = frozenset(ipaddress.ip_address(each) for each in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefusedError(ValueError):
    """We do not connect there. The message says why."""


def require_allowed(url: str) -> None:
    """Raise AddressRefusedError where the host of `url` is, or resolves to, an address we must not connect to.

    A name that does not resolve passes: whoever connects finds out, and says so.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressRefusedError(_("“%(url)s” is not an address.") % {"url": url}) from None
    if not host:
        raise AddressRefusedError(_("“%(url)s” names no host.") % {"url": url})
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    for *_others, target in found:
        _require(ipaddress.ip_address(str(target[0]).partition("%")[0]), host)


def _require(address: Address, host: str) -> None:
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    where = {"host": host, "address": address}
    if address.is_link_local or address in METADATA:
        raise AddressRefusedError(
            _("%(host)s is at %(address)s, where clouds keep their metadata service. It is not connected to.") % where
        )
    if address.is_multicast or address.is_unspecified:
        raise AddressRefusedError(_("%(host)s is at %(address)s, where no server can be.") % where)
    if address.is_loopback and not settings.ALLOW_LOOPBACK:
        raise AddressRefusedError(
            _("%(host)s is at %(address)s, this server itself. Use an address that others reach it at.") % where
        )
