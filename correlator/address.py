"""Addresses and networks as they compare: what is of version 4 in the form of version 6 is of version 4."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_MAPPED_BITS = 96  # of version 6, before an address of version 4


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """The address that *text* is. Raises ValueError where it is none."""
    found = ip_address(text)
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    beyond = network.prefixlen - _MAPPED_BITS
    return network if mapped is None or beyond < 0 else IPv4Network((mapped, beyond))
