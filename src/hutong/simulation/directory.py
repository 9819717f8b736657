"""Everybody who has a number: one table of parties, and the telephones that they use."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hutong.simulation.rows import (
    CALL,
    LOCAL,
    NOBODY,
    PLUS,
    ZEROS,
    Calls,
    pick,
    scramble,
)

Ids = NDArray[Any]  # of int32 or int64: places in the directory

#: Mobile network codes under 460 (ITU-T E.212), by operator.
_NETWORKS = {"mobile": 0, "unicom": 1, "telecom": 11, "broadnet": 15}
_CELLS = 1 << 28  # E-UTRAN cell identity (3GPP TS 36.413, 9.2.1.38)
_TAC_LOW, _TACS = 86_000_000, 4_000


class Directory:
    """The table. Parties are added group by group and never removed.

    Attributes:
        value, form, klass, trunk, area: of each party: digits, how they are written, class, trunk it calls on, area.
        owner: the person whose telephone a mobile number is in, or NOBODY: a telephone of its own.
        mobile: whether it is a mobile number. seen: whether it took part in a call.
    """

    def __init__(self, seed: int, operators: tuple[str, ...]) -> None:
        self._salt = seed
        self._networks = np.array([_NETWORKS.get(name, 0) for name in operators] + [0], dtype=np.int64)
        self.value = np.zeros(0, np.int64)
        self.form = np.zeros(0, np.uint8)
        self.klass = np.zeros(0, np.uint8)
        self.trunk = np.zeros(0, np.uint8)
        self.area = np.zeros(0, np.uint8)
        self.operator = np.zeros(0, np.uint8)
        self.owner = np.zeros(0, np.int32)
        self.mobile = np.zeros(0, bool)
        self.seen = np.zeros(0, bool)
        self._sorted: NDArray[np.int64] | None = None
        self._order = np.zeros(0, np.int32)

    def __len__(self) -> int:
        """How many parties there are."""
        return len(self.value)

    def add(  # the columns of a table
        self,
        value: NDArray[np.int64],
        *,
        form: int,
        klass: int | NDArray[np.uint8],
        trunk: int | NDArray[np.uint8],
        area: int | NDArray[np.uint8] = 0,
        operator: int | NDArray[np.uint8] = 0,
        owner: int | NDArray[np.int32] = NOBODY,
        mobile: bool = False,
    ) -> Ids:
        """Add parties; gives their places."""
        first, count = len(self.value), len(value)
        columns = {"value": value, "form": form, "klass": klass, "trunk": trunk, "area": area, "operator": operator,
                   "owner": owner, "mobile": mobile, "seen": False}  # fmt: skip
        for name, given in columns.items():
            old = getattr(self, name)
            new = np.empty(count, old.dtype)
            new[:] = given
            setattr(self, name, np.concatenate([old, new]))
        self._sorted = None
        return np.arange(first, first + count, dtype=np.int32)

    def find(self, values: NDArray[np.int64]) -> Ids:
        """The parties of these digits; NOBODY where there is none."""
        if self._sorted is None:
            self._order = np.argsort(self.value, kind="stable").astype(np.int32)
            self._sorted = self.value[self._order]
        at = np.minimum(np.searchsorted(self._sorted, values), len(self._sorted) - 1)
        return np.where(self._sorted[at] == values, self._order[at], NOBODY).astype(np.int32)

    def between(self, callers: Ids, callees: Ids, start: NDArray[np.int64]) -> Calls:
        """Calls between parties, without outcome and without cell."""
        calls = np.zeros(len(callers), CALL)
        calls["start"] = start
        calls["caller_id"] = callers
        calls["callee_id"] = callees
        calls["caller"] = self.value[callers]
        calls["caller_form"] = self.form[callers]
        calls["trunk"] = self.trunk[callers]
        calls["caller_class"] = self.klass[callers]
        self.dial(calls)
        self.use_own_telephones(calls)
        return calls

    def dial(self, calls: Calls) -> None:
        """Fill in what the caller dials for the party in `callee_id`."""
        callees = calls["callee_id"]
        calls["callee"] = self.value[callees]
        form = self.form[callees]
        calls["callee_form"] = np.where(form == PLUS, ZEROS, form)
        calls["callee_class"] = self.klass[callees]

    def use_own_telephones(self, calls: Calls) -> None:
        """Fill in device and card where the network sees them: on calls from mobile numbers of its own."""
        at = np.flatnonzero((calls["trunk"] == LOCAL) & self.mobile[calls["caller_id"]])
        parties = calls["caller_id"][at]
        owner = self.owner[parties]
        second = (owner != NOBODY) & (owner != parties)
        calls["imei"][at] = device(np.where(owner == NOBODY, parties, owner), self._salt, second)
        calls["imsi"][at] = card(self._networks[self.operator[parties]], parties, self._salt)


def device(telephones: Ids, salt: int, second: NDArray[np.bool_] | bool = False) -> NDArray[np.int64]:  # noqa: FBT001, FBT002
    """IMEIs of telephones (3GPP TS 23.003, 6.2.1), 15 digits with their check digit; the `second` of a dual-SIM one."""
    body = (_TAC_LOW + pick(telephones, salt + 1, _TACS)) * 1_000_000 + pick(telephones, salt + 2, 500_000) * 2 + second
    total = np.zeros(len(body), np.int64)
    rest = body.copy()
    for place in range(14):
        digit = rest % 10
        rest //= 10
        if place % 2 == 0:
            digit = digit * 2
            digit = digit // 10 + digit % 10
        total += digit
    return body * 10 + (10 - total % 10) % 10


def card(network: NDArray[np.int64] | int, parties: Ids, salt: int) -> NDArray[np.int64]:
    """IMSIs (ITU-T E.212): 460, two digits of the network, ten of the subscriber."""
    return (46_000 + network) * 10**10 + pick(parties, salt + 3, 10**10)


def cell(places: NDArray[np.int64], salt: int) -> NDArray[np.int64]:
    """Cells as fourteen digits: 46000 and the cell identity."""
    return 46_000 * 10**9 + (scramble(places, salt + 4) % np.uint64(_CELLS)).astype(np.int64)
