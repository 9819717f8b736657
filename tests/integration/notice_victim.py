"""Brings what waits in the records at argv[1] to a webhook (argv[2]) and a mail server (argv[3]); argv[4] says whether
it is killed between what the receivers took and what the records keep of it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from hutong.kernel.cases.delivery import deliver
from hutong.kernel.cases.notices import Mailbox, MailNotices, WebhookNotices
from hutong.kernel.records import Database

if TYPE_CHECKING:
    from hutong.kernel.cases.notices import Notice

LATER = 4_000_000_000_000


class Last:
    """The last port: everybody has the notice now."""

    name = "last"

    def deliver(self, _notice: Notice) -> None:
        if sys.argv[4] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    database = Database(sys.argv[1])
    database.open()
    mail = Mailbox("127.0.0.1", int(sys.argv[3]), "hutong@example.cn", tls=False)
    ports = [
        WebhookNotices(sys.argv[2], "secret", lambda: LATER * 10**6),
        MailNotices(mail, {"unit:移动": ["duty@example.cn"]}),
        Last(),
    ]
    sys.stdout.write(f"{deliver(database, ports, LATER)}\n")
    database.close()


if __name__ == "__main__":
    main()
