"""HEP packets of every shape, for properties: strategies of what a sender may put into one."""

from __future__ import annotations

from hypothesis import strategies as st

from hutong.protocols.hep import Packet

_U8, _U16, _U32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))


def _from(address: st.SearchStrategy[str], payload: int, text: int) -> st.SearchStrategy[Packet]:
    return st.builds(
        Packet,
        source=address,
        destination=address,
        source_port=_U16,
        destination_port=_U16,
        protocol=_U8,
        seconds=_U32,
        microseconds=st.integers(0, 999_999),
        kind=_U8,
        payload=st.binary(max_size=payload),
        capture_id=_U32,
        key=st.binary(max_size=text),
        correlation=st.binary(max_size=text),
    )


def packets(*, payload: int, text: int) -> st.SearchStrategy[Packet]:
    """Packets over IPv4 and IPv6 with so many bytes at most of payload, and of key and correlation each."""
    over_ipv4, over_ipv6 = st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)
    return st.one_of(_from(over_ipv4, payload, text), _from(over_ipv6, payload, text))
