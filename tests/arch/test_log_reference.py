"""Every event that is logged is explained, in both languages, and nothing is explained that nobody logs."""

from __future__ import annotations

import re

from hutong.app import reference
from hutong.app.supervision import State

#: The screening loop's troubles are logged here, and named where they are told.
NAMED_LATER = {"app/screen.py"}


PROCESSES = {"up", "screen", "serve", "work", "feed", "codes", "stations", "replica"}


def logged() -> set[str]:
    return {call.event for call in reference.log_calls() if call.event} | {state.value for state in State}


def test_every_event_is_explained_and_no_other() -> None:
    explained = set(reference.log_meanings())
    assert logged() - explained == set(), "explain these in src/hutong/app/log_events.toml"
    assert explained - logged() == set(), "nobody logs these: take them out of src/hutong/app/log_events.toml"


def test_events_have_their_names_in_the_source() -> None:
    assert {call.module for call in reference.log_calls() if not call.event} <= NAMED_LATER, "log a constant event"


def test_an_explanation_has_two_languages_and_a_known_process() -> None:
    for event, meaning in reference.log_meanings().items():
        assert re.search(r"[\u4e00-\u9fff]", meaning["zh"]), event
        assert meaning["en"], event
        assert set(meaning["process"].split(", ")) <= PROCESSES, event
        assert "|" not in meaning["zh"] + meaning["en"], event


def test_levels_stand_where_they_are_decided() -> None:
    known = {call.event for call in reference.log_calls() if call.level}
    for event, meaning in reference.log_meanings().items():
        assert ("level" in meaning) or event in known, event
