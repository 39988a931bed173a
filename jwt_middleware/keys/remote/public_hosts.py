"""Checks that a host is public, for services that do not choose all their issuers themselves.

The address that was checked is the address to connect to, so that a name that resolves differently
the second time (DNS rebinding) has no effect.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit, urlunsplit

from jwt_middleware.keys.document import Rejected
from jwt_middleware.keys.remote.special_addresses import ASSIGNED_IPV6, BLOCKS

# RFC 6052 §2.1: an IPv4 address in the last four bytes.
_NAT64 = ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Return whether an address is public, and an IPv4 address embedded in it as well."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return _is_reachable(ip)
    if ip.ipv4_mapped is not None:
        return _is_reachable(ip.ipv4_mapped)
    if not any(ip in block for block in ASSIGNED_IPV6) or not _is_reachable(ip):
        return False
    return ip not in _NAT64 or _is_reachable(IPv4Address(int(ip) & 0xFFFF_FFFF))


def _is_reachable(ip: IPv4Address | IPv6Address) -> bool:
    """Return whether the registries list an address as reachable. Unlisted ones are reachable."""
    return next((reachable for block, reachable in BLOCKS if ip in block), True)


def pinned(url: str) -> tuple[str, str, str]:
    """Return ``url`` with a checked address for its host, the ``Host`` field, and the host name.

    :raises Rejected: if the host has no address, or an address that is not public.
    """
    parts = urlsplit(url)
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        raise Rejected("no answer (the host has no address)") from None
    addresses = [str(row[4][0]) for row in found]
    # All addresses are checked, because an attacker who controls the name can list a public address
    # first.
    if not addresses or not all(is_public(address) for address in addresses):
        raise Rejected("the host is not on the public internet")
    literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return urlunsplit(parts._replace(netloc=f"{literal}:{port}")), parts.netloc, name
