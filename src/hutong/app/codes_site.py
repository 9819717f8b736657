"""The public service of codes, wired: what phones ask, behind admission. Nothing is decided here."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hutong.app.appeals_work import code_port
from hutong.app.cases_work import open_cases
from hutong.app.codes_status_work import family_of, people_of, status_desk
from hutong.app.codes_work import code_issuer, day_names, key_ring
from hutong.app.overload import gate_before
from hutong.app.replica_work import replica_of
from hutong.app.sampling_work import open_sampling
from hutong.app.scans_site import ScanListener
from hutong.codes.devices import Devices
from hutong.codes.people.holders import Circuit, FileCheck, HttpCheck
from hutong.codes.public.app import PublicApp
from hutong.codes.public.desk import Holders, PublicDesk
from hutong.codes.public.files import HOME, TEXTS, PublicFiles
from hutong.codes.public.mine import MyDesk, MyResult
from hutong.codes.public.signed_documents import SignedDocuments
from hutong.codes.replicas.away import AwayDesk, news_of
from hutong.codes.replicas.reading import CodesReplica
from hutong.codes.status.loading import OWN, rules_of
from hutong.kernel.access.refs import Refs
from hutong.kernel.errors import StateError
from hutong.kernel.key_files import kept_secret
from hutong.kernel.letters import Postbox
from hutong.kernel.numbering import Numbering
from hutong.kernel.one_time import OneTimeCodes
from hutong.kernel.records import MOST_CONNECTIONS, Database, database_url, device_tables
from hutong.kernel.web.frame import Frame

if TYPE_CHECKING:
    from hutong.app.config import Config
    from hutong.codes.issuing import Issuer
    from hutong.codes.people.holders import IdentityCheck
    from hutong.codes.status.desk import StatusDesk
    from hutong.kernel.clock import Clock
    from hutong.kernel.overload.gate import Gate
    from hutong.kernel.reporter import Reporter

_NS_IN_MS: Final = 1_000_000
_SECRET_BYTES: Final = 32
#: Failures in a row after which the operator is asked nothing for a while.
_OPERATOR_FAILURES: Final = 5
_OPERATOR_REST_MS: Final = 30_000
#: Files in the data folder's `keys`: of the hashes of one-time codes, and of sealed arrivals.
_ONE_TIME: Final = "code-arrivals.key"
_ARRIVALS: Final = "code-arrivals-seal.key"


class CodesSite:
    """The public service of codes of one process.

    Args:
        config: the node's settings. clock: the time. reporter: logs and figures. process: which one, from 1.
    """

    def __init__(self, config: Config, clock: Clock, reporter: Reporter, process: int = 1) -> None:
        self._config, self._clock, self._reporter, self._process = config, clock, reporter, process
        self.database = Database(database_url(config.records.url, config.data), kept=MOST_CONNECTIONS)
        self._people = people_of(config, self.database)
        self._replica = replica_of(config)
        self._copy = CodesReplica(self._replica)
        self._threads = ThreadPoolExecutor(config.overload.at_once, "codes")
        self._frame = Frame([HOME], [TEXTS])
        self._postbox = Postbox(code_port(config, clock), self._note)
        self._scans = ScanListener(config, self.database, clock, self._threads, reporter)

    def open(self) -> None:
        """Open the records, and make the first key where there is none.

        Raises:
            RecordsError: they cannot be opened. StateError: keys cannot be read or written.
        """
        self.database.open()
        with suppress(StateError):  # said to whoever asks; what is well is known before the crowd comes
            self._people.check_keys()
        self._replica.open()
        ring, now_ms = key_ring(self._config), self._clock.wall() // _NS_IN_MS
        if not ring.terms(now_ms):
            ring.rotate(now_ms)
        self._scans.start()

    def close(self) -> None:
        """Let go of everything."""
        self._scans.stop()
        self._threads.shutdown(cancel_futures=True)
        self._postbox.close()
        self._replica.close()
        self.database.close()

    def application(self) -> Gate:
        """The application, behind admission."""
        config, clock = self._config, self._clock
        ring, issuer = key_ring(config), code_issuer(config, self.database, self._reporter.metrics)
        status = status_desk(config, self.database, lambda: open_cases(config, self.database), self._people)
        desk = self._desk(issuer, status)
        public = PublicApp(
            PublicFiles(self._frame, config.node.name),
            desk,
            MyDesk(desk.person, status, self._results, self._notes),
            SignedDocuments(lambda now_ms: ring.key_set(now_ms).document, news_of(issuer.news, self._copy, ring)),
            clock,
            self._threads,
            self._reporter,
        )
        return gate_before(self._scans.before(public), "public", config, clock, self._reporter.metrics, self._process)

    def _desk(self, issuer: Issuer, status: StatusDesk) -> PublicDesk:
        config, database, people = self._config, self.database, self._people
        keys = config.data / "keys"
        return PublicDesk(
            people=people,
            family=family_of(config, database),
            status=status,
            issuer=issuer,
            devices=Devices(database, config.codes.person_days),
            names=day_names(config, people),
            codes=OneTimeCodes(
                database, device_tables.code_arrivals, Refs(keys / "refs.key"), keys / _ONE_TIME, self._postbox
            ),
            numbering=Numbering(config.calls.home_area),
            words=lambda language, code, minutes: self._frame.texts.say(
                "codes_pages.letter", language, code=code, minutes=minutes
            ),
            secret=lambda: kept_secret(keys / _ARRIVALS, lambda: secrets.token_bytes(_SECRET_BYTES)),
            away=AwayDesk(self._copy, rules_of(config.data / OWN)),
            holders=self._holders(),
        )

    def _holders(self) -> Holders | None:
        """Who knows whose numbers are, as the settings say."""
        it = self._config.codes
        if not it.operator_url and not it.operator_file:
            return None
        secret = it.operator_secret.encode()
        check: IdentityCheck
        if it.operator_url:
            circuit = Circuit(_OPERATOR_FAILURES, _OPERATOR_REST_MS)
            check = HttpCheck(
                it.operator_url, secret, it.operator_seconds, circuit, lambda: secrets.token_hex(16), self._unanswered
            )
        else:
            check = FileCheck(Path(it.operator_file), secret)
        return Holders(check, it.operator_unanswered == "register")

    def _unanswered(self, why: str) -> None:
        self._reporter.log.warning("the operator did not say whose number it is", trouble=why)

    def _notes(self, person: str, now_ms: int) -> tuple[str, ...]:
        return ("unproven",) if self._people.profile(person, now_ms).proven is False else ()

    def _results(self, person: str, most: int) -> list[MyResult]:
        found = open_sampling(self._config, self.database).results_of(person, most)
        return [MyResult(it.at_ms, it.result, it.reported_ms) for it in found]

    def _note(self, result: str, why: str) -> None:
        if why:
            self._reporter.log.warning("a one-time code was not sent", trouble=why, result=result)
