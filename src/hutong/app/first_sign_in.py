"""The first administrator's one-time password: shown once to whoever starts the node, and never logged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from hutong.kernel.access.errors import AccessError
from hutong.kernel.access.people import FIRST

if TYPE_CHECKING:
    from pathlib import Path

    from hutong.kernel.access.people import People
    from hutong.kernel.reporter import Reporter

NOTE = "first-sign-in.txt"


def announce_first(people: People, run_folder: Path, terminal: TextIO, reporter: Reporter, now_ms: int) -> None:
    """Make the first account where there is none, and say its password: on the terminal, else in a file for its owner.

    Where nobody watches, standard error is somebody's log, and a log is no place for a password.

    Args:
        people: the accounts.
        run_folder: an existing folder; gets `NOTE` (mode 0600) where `terminal` is none.
        terminal: standard error.
        reporter: told that there is such a file.
        now_ms: ms since 1970 UTC.
    """
    password = people.first(now_ms)
    if password is None:
        return
    text = (
        f"首次登录:账号 {FIRST},一次性口令 {password}(只显示这一次,登录后须更换)\n"
        f"First sign-in: account {FIRST}, one-time password {password} (shown this once; you will choose another)\n"
    )
    if terminal.isatty():
        terminal.write(text)
        terminal.flush()
        return
    file = run_folder / NOTE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        # The account stands and nobody knows its password: only the command line can give it another.
        fix = f"Make room, then run `hutong people reset-password {FIRST}`."
        reporter.log.error("first sign-in not told", account=FIRST, file=str(file), error=str(error), fix=fix)  # noqa: TRY400  # a trace says no more
        return
    reporter.log.warning(
        "first sign-in", account=FIRST, file=str(file), fix="Read the file, sign in, choose a password."
    )


def forget_first(people: People, run_folder: Path) -> int:
    """Delete the file with the one-time password once it opens nothing any more; returns how many files went."""
    file = run_folder / NOTE
    if not file.exists():
        return 0
    try:
        if people.account(FIRST).must_change:
            return 0
    except AccessError:
        pass  # nobody to sign in with it
    file.unlink(missing_ok=True)
    return 1
