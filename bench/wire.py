"""Many datagrams in one system call, reachable from compiled code.

Only the C library's calls and the memory layout they want belong here: the load client and the echo peer are
both written on these.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ROW = 2048
"""Bytes kept for one datagram: more than any packet of these benches."""

_libc = ctypes.CDLL(None)
_libc.recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_libc.recvmmsg.restype = ctypes.c_int
_libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
_libc.sendmmsg.restype = ctypes.c_int
_libc.ppoll.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p]
_libc.ppoll.restype = ctypes.c_int
_libc.clock_gettime.argtypes = [ctypes.c_int, ctypes.c_void_p]
_libc.clock_gettime.restype = ctypes.c_int

recvmmsg = _libc.recvmmsg
sendmmsg = _libc.sendmmsg
ppoll = _libc.ppoll
clock_gettime = _libc.clock_gettime

MSG_DONTWAIT = 0x40
MSG_WAITFORONE = 0x10000
CLOCK_MONOTONIC = 1
POLLIN = 1

# Columns of one struct mmsghdr seen as eight 64-bit words (recvmmsg(2), x86-64 and arm64 Linux).
NAME_LENGTH = 1
FLAGS = 6
LENGTH = 7


class Batch(NamedTuple):
    """Room for one recvmmsg or sendmmsg of n datagrams.

    headers int64[n, 8] (struct mmsghdr), vectors int64[n, 2] (struct iovec), rows uint8[n, ROW] (payloads),
    names uint8[n, 32] (struct sockaddr).
    """

    headers: Ints
    vectors: Ints
    rows: Bytes
    names: Bytes


def batch(size: int, *, named: bool) -> Batch:
    """Room for `size` datagrams; `named` when the socket is not connected and peers' addresses matter."""
    room = Batch(
        np.zeros((size, 8), np.int64),
        np.zeros((size, 2), np.int64),
        np.zeros((size, ROW), np.uint8),
        np.zeros((size, 32), np.uint8),
    )
    for i in range(size):
        room.vectors[i] = (room.rows[i].ctypes.data, ROW)
        room.headers[i, 2:4] = (room.vectors[i].ctypes.data, 1)
        if named:
            room.headers[i, :2] = (room.names[i].ctypes.data, 32)
    return room
