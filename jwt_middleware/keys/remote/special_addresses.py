"""Address blocks with a special purpose, and whether they are globally reachable.

From the IANA registries "IPv4 Special-Purpose Address Space" and "IPv6 Special-Purpose Address
Space" (RFC 6890), as of October 2025. Entries with "N/A" or without a value count as not reachable.
Python's ``is_global`` is not used, because it changed several times within 3.11 to 3.13.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network

_REACHABLE = """
192.0.0.9/32        Port Control Protocol Anycast (RFC 7723)
192.0.0.10/32       Traversal Using Relays around NAT Anycast (RFC 8155)
192.31.196.0/24     AS112-v4 (RFC 7535)
192.52.193.0/24     AMT (RFC 7450)
192.175.48.0/24     Direct Delegation AS112 Service (RFC 7534)
64:ff9b::/96        IPv4-IPv6 Translation (RFC 6052)
2001:1::1/128       Port Control Protocol Anycast (RFC 7723)
2001:1::2/128       Traversal Using Relays around NAT Anycast (RFC 8155)
2001:1::3/128       DNS-SD Service Registration Protocol Anycast (RFC 9665)
2001:3::/32         AMT (RFC 7450)
2001:4:112::/48     AS112-v6 (RFC 7535)
2001:20::/28        ORCHIDv2 (RFC 7343)
2001:30::/28        Drone Remote ID Protocol Entity Tags (RFC 9374)
2620:4f:8000::/48   Direct Delegation AS112 Service (RFC 7534)
"""

_NOT_REACHABLE = """
0.0.0.0/8           This network (RFC 791)
10.0.0.0/8          Private-Use (RFC 1918)
100.64.0.0/10       Shared Address Space (RFC 6598)
127.0.0.0/8         Loopback (RFC 1122)
169.254.0.0/16      Link Local (RFC 3927)
172.16.0.0/12       Private-Use (RFC 1918)
192.0.0.0/24        IETF Protocol Assignments (RFC 6890)
192.0.2.0/24        Documentation (TEST-NET-1) (RFC 5737)
192.88.99.0/24      Deprecated (6to4 Relay Anycast) (RFC 7526)
192.168.0.0/16      Private-Use (RFC 1918)
198.18.0.0/15       Benchmarking (RFC 2544)
198.51.100.0/24     Documentation (TEST-NET-2) (RFC 5737)
203.0.113.0/24      Documentation (TEST-NET-3) (RFC 5737)
240.0.0.0/4         Reserved (RFC 1112)
::/128              Unspecified Address (RFC 4291)
::1/128             Loopback Address (RFC 4291)
::ffff:0:0/96       IPv4-mapped Address (RFC 4291)
64:ff9b:1::/48      IPv4-IPv6 Translation, local use (RFC 8215)
100::/64            Discard-Only Address Block (RFC 6666)
100:0:0:1::/64      Dummy IPv6 Prefix (RFC 9780)
2001::/23           IETF Protocol Assignments (RFC 2928)
2001::/32           TEREDO (RFC 4380)
2001:2::/48         Benchmarking (RFC 5180)
2001:10::/28        Deprecated (previously ORCHID) (RFC 4843)
2001:db8::/32       Documentation (RFC 3849)
2002::/16           6to4 (RFC 3056)
3fff::/20           Documentation (RFC 9637)
5f00::/16           Segment Routing (SRv6) SIDs (RFC 9602)
fc00::/7            Unique-Local (RFC 4193)
fe80::/10           Link-Local Unicast (RFC 4291)
224.0.0.0/4         Multicast (RFC 1112), from the registry of IPv4 address space
"""

Network = IPv4Network | IPv6Network


def _blocks(text: str) -> list[Network]:
    return [ip_network(line.split()[0]) for line in text.strip().splitlines()]


BLOCKS: tuple[tuple[Network, bool], ...] = tuple(
    sorted(
        [
            *((block, True) for block in _blocks(_REACHABLE)),
            *((block, False) for block in _blocks(_NOT_REACHABLE)),
        ],
        key=lambda row: -row[0].prefixlen,
    )
)
"""Each block, and whether it is globally reachable; the most specific first."""

# The only IPv6 block from which public addresses are assigned, and the block whose addresses embed
# an IPv4 address (IANA, "Internet Protocol Version 6 Address Space").
ASSIGNED_IPV6: tuple[IPv6Network, ...] = (IPv6Network("2000::/3"), IPv6Network("64:ff9b::/96"))
