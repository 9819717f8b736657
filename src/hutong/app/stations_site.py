"""The page of stations, wired: its files, what verifies codes, pairing. Nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hutong.app.codes_work import code_issuer, key_ring
from hutong.app.persons_work import persons_of
from hutong.app.sampling_work import open_emergencies
from hutong.codes.public import files as codes
from hutong.codes.public.signed_documents import SignedDocuments
from hutong.codes.replicas.away import news_of
from hutong.codes.replicas.reading import CodesReplica
from hutong.kernel.access.tokens import Tokens
from hutong.kernel.access.trail import Trail
from hutong.kernel.web.frame import Frame
from hutong.kernel.web.installed import static_files
from hutong.sampling.station.pairing import Pairings
from hutong.sampling.station.web.app import StationPage
from hutong.sampling.station.web.files import HOME, StationFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from hutong.app.config import Config
    from hutong.kernel.records import Database
    from hutong.kernel.replica.store import Replica
    from hutong.kernel.reporter import Reporter
    from hutong.sampling.station.pairing import Paired

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
#: A tablet may be stolen: its token lasts no longer, whatever tokens may.
_TOKEN_DAYS: Final = 30
#: Scripts of the pages of codes that a station uses too.
_SHARED: Final = frozenset(
    f"{codes.PREFIX}static/{name}.js"
    for name in (
        *("asking", "bundle", "bytes", "camera", "cbor", "claims", "documents", "seen", "sign1", "verification"),
        *("words", "vendor/qr/decode", "vendor/qr/index", "vendor/noble-ed25519/index"),
    )
)


def pairings_of(config: Config, database: Database) -> Pairings:
    """The pairings of a node; `database` is opened by whoever made it."""
    return Pairings(
        database,
        Tokens(database, config.access.token_days),
        persons_of(config, database).key,
        open_emergencies(config, database).terms,
        config.sampling.apart_hours * _HOUR_MS,
        min(config.access.token_days, _TOKEN_DAYS) * _DAY_MS,
    )


def station_files(node: str) -> StationFiles:
    """The files of the page; `node`: its name, as people read it."""
    static = static_files(codes.STATIC, f"{codes.PREFIX}static/")
    shared = {path: body for path, body in static.items() if path in _SHARED}
    return StationFiles(Frame([HOME, codes.HOME], [codes.TEXTS]), node, shared)


def station_page(
    config: Config,
    database: Database,
    replica: Replica,
    now_ms: Callable[[], int],
    threads: Executor,
    reporter: Reporter,
) -> StationPage:
    """The page and what it asks beside merging; database and replica are opened by whoever made them."""
    ring, issuer = key_ring(config), code_issuer(config, database, reporter.metrics)
    pairings, trail = pairings_of(config, database), Trail(database)

    def pair(code: str, address: str, at_ms: int) -> Paired:
        paired = pairings.finish(code, at_ms)
        said = {"district": paired.district}
        trail.record(paired.station, address, "sampling.paired", paired.station, after=said, now_ms=at_ms)
        return paired

    return StationPage(
        station_files(config.node.name),
        pair,
        SignedDocuments(
            lambda at_ms: ring.key_set(at_ms).document if ring.terms(at_ms) else b"",
            news_of(issuer.news, CodesReplica(replica), ring),
        ),
        now_ms,
        threads,
        reporter,
    )
