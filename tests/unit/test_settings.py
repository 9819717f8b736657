"""Settings: what is read, what is refused, and how well the refusal says where and what to do."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hutong.app.config import Config, load_config
from hutong.app.config_cli import effective
from hutong.kernel.addresses import parse_host_port, parse_listener, parse_network, parse_range
from hutong.kernel.errors import ConfigError
from hutong.kernel.settings import SettingsError, entries
from hutong.kernel.toml_lines import lines_of


def write(folder: Path, text: str) -> Path:
    file = folder / "hutong.toml"
    file.write_text(text)
    return file


def errors(file: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_config(file, environ=environ or {})
    assert str(caught.value).splitlines() == [str(error) for error in caught.value.errors]
    return str(caught.value).replace(f"{file}:", "line ").splitlines()


def test_defaults_touch_loopback_only() -> None:
    config = load_config(environ={})
    assert config == Config()
    addresses = [parse_listener(text).address for text in config.sip.listen]
    addresses += [parse_host_port(config.sip.next_hop), parse_host_port(config.serve.listen)]
    assert {address.host for address in addresses} == {"127.0.0.1"}
    assert all(parse_network(text).is_loopback for text in config.sip.proxies)


def test_file_then_environment_then_data_option(tmp_path: Path) -> None:
    file = write(tmp_path, '[calls]\nbudget_ms = 20\nnight_to = 6\n[node]\ndata = "a"\n[sip]\nproxies = []\n')
    environ = {
        "HUTONG_CALLS__BUDGET_MS": "30",
        "HUTONG_ROAMING__TABLE": "false",
        "HUTONG_SIP__LISTEN": "udp:127.0.0.1:5070, tcp:[::1]:5070",
        "HUTONG_READY_FD": "3",
        "PATH": "/bin",
    }
    config = load_config(file, data=Path("b"), environ=environ)
    assert (config.calls.budget_ms, config.calls.night_to) == (30, 6)
    assert config.roaming.table is False
    assert config.sip.listen == ("udp:127.0.0.1:5070", "tcp:[::1]:5070")
    assert config.sip.proxies == ()
    assert config.data == Path("b")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().calls.budget_ms = 1  # type: ignore[misc]


WRONG = """
line 8: unknown section 'cals'. Did you mean 'calls'?
line 3: unknown setting 'listn'. Did you mean 'listen'?
line 4: listen: port 99999 in '127.0.0.1:99999' does not exist. Use 1 to 65535.
line 4: listen: 'sctp:127.0.0.1:5060' does not start with udp: or tcp:. Write it like udp:127.0.0.1:5060 or tcp:[::1]:5060.
line 10: budget_ms = "50" must be integer from 1 to 5000: time budget of a verdict; beyond it the call passes.
line 11: time_zone: time zone 'Asia/Shanhai' does not exist. Write it like Asia/Shanghai.
line 15: networks: '10.0.0.1/8' has address bits to the right of its mask. Write 10.0.0.0/8.
line 16: trunks has no 'networks'. Add networks = … (networks that its calls come from).
line 18: kind = "foreign" must be international | inter-network | local | enterprise: from abroad, from another operator, from this network, from an enterprise.
environment HUTONG_CALLS__NIGHT_TO: night_to = "25" must be integer from 0 to 23: hour at which night ends.
environment HUTONG_WINDOWS__MEMORY: unknown setting 'memory'. Did you mean 'memory_mb'?
"""  # noqa: E501  # one error a line, as it is printed


def test_everything_wrong_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
[sip]
listn = ["udp:127.0.0.1:5060"]
listen = [
  "udp:127.0.0.1:99999",   # no such port
  "sctp:127.0.0.1:5060",
]
[cals]
[calls]
budget_ms = "50"
time_zone = "Asia/Shanhai"
[[trunks]]
name = "north"
kind = "international"
networks = ["10.0.0.1/8"]
[[trunks]]
name = "east"
kind = "foreign"
""",
    )
    said = errors(file, {"HUTONG_CALLS__NIGHT_TO": "25", "HUTONG_WINDOWS__MEMORY": "1"})
    assert sorted(said) == sorted(WRONG.strip().splitlines())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[sip\n", "line 1: not TOML"),
        ("[sip]\nlisten = [\n", "line 3: not TOML"),
        ("[calls]\nbudget_ms = 1\nbudget_ms = 2\n", "line 3: not TOML"),
        ('sip = "x"\n', "line 1: sip must be a table. Write [sip] above its keys."),
        ("[trunks]\n", "line 1: trunks must be a list of tables. Write [[trunks]] above its keys."),
        ("[sip]\nlisten = []\n", "line 2: listen = [] must be non-empty list of text"),
        ("[windows]\nmemory_mb = 0\n", "line 2: memory_mb = 0 must be integer from 1"),
        ("[calls]\nbudget_ms = true\n", "line 2: budget_ms = true must be integer"),
        (
            '[roaming]\nhttp_url = "ftp://a/b"\n',
            "line 2: http_url: 'ftp://a/b' is not an http or https address.",
        ),
        ('[sip]\nnext_hop = "256.1.1.1:1"\n', "line 2: next_hop: '256.1.1.1' in"),
        ('[calls]\nhome_area = "shanghai"\n', "line 2: home_area: 'shanghai' is not an area code."),
        (
            '[calls]\nrules_dir = "/nonexistent/rules"\n',
            "line 2: rules_dir: folder '/nonexistent/rules' does not",
        ),
        ('[node]\nname = "a b"\n', "line 2: name: 'a b' is not a name."),
        ('[sip]\nlisten = ["udp:[::1]:1", "udp:[::1]:1"]\n', "line 2: udp:[::1]:1 is there twice."),
        ('[sip]\nlisten = ["udp:[::1]:1", "udp:[0:0::1]:1"]\n', "line 2: udp:[0:0::1]:1 is there twice."),
        ('[mirror]\nlisten = ["udp:127.0.0.1:5060"]\n', "line 2: udp:127.0.0.1:5060 is taken by sip.listen. Choose"),
        ('[mirror]\nlisten = ["tcp:0.0.0.0:8080"]\n', "line 2: tcp:0.0.0.0:8080 is taken by serve.listen."),
        ('[serve]\nlisten = "127.0.0.1:5060"\n', "line 2: tcp:127.0.0.1:5060 is taken by sip.listen. Choose another"),
        (
            '[serve]\nlisten = "LOCALHOST:1"\npublic_listen = "localhost:1"\n',
            "line 3: tcp:localhost:1 is taken by serve.",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, text: str, wanted: str) -> None:
    [said] = errors(write(tmp_path, text))
    assert said.startswith(wanted)


def test_listeners_that_do_not_meet_are_fine(tmp_path: Path) -> None:
    text = """
[sip]
listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:127.0.0.2:5060", "udp:127.0.0.1:0", "udp:127.0.0.1:0"]
[mirror]
listen = ["udp:[::1]:5060", "udp:[::]:9060", "tcp:127.0.0.1:9060", "tcp:127.0.0.1:0"]
[serve]
listen = "127.0.0.1:0"
public_listen = "127.0.0.1:0"
"""
    assert len(load_config(write(tmp_path, text), environ={}).mirror.listen) == 4


TRUNKS = """
[[trunks]]
name = "a"
kind = "enterprise"
networks = ["10.0.0.0/8"]
ranges = ["02161230000-02161239999", "4008001234"]
[[trunks]]
name = "{name}"
kind = "{kind}"
networks = ["{network}"]
ranges = {ranges}
"""


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"name": "a"}, "line 8: two trunks are named 'a'. Rename one."),
        ({"network": "10.0.0.0/8"}, "line 10: network 10.0.0.0/8 already belongs to trunk 'a'."),
        ({"ranges": '["02100000000"]'}, "line 11: trunk 'b' is local and has ranges."),
        ({"kind": "enterprise", "ranges": '["9-1"]'}, "line 11: ranges: '9-1' is not a number range."),
        ({"kind": "enterprise", "ranges": '["999-111"]'}, "line 11: ranges: '999-111' runs backwards."),
        (
            {"kind": "enterprise", "ranges": '["999-1111"]'},
            "line 11: ranges: the ends of '999-1111' have 3 and 4",
        ),
    ],
)
def test_trunks_that_contradict(tmp_path: Path, changed: dict[str, str], wanted: str) -> None:
    plain = {"name": "b", "kind": "local", "network": "10.1.0.0/16", "ranges": "[]"}
    assert len(load_config(write(tmp_path, TRUNKS.format(**plain)), environ={}).trunks) == 2
    [said] = errors(write(tmp_path, TRUNKS.format(**{**plain, **changed})))
    assert said.startswith(wanted)


def test_a_file_that_cannot_be_read_or_is_not_text(tmp_path: Path) -> None:
    [said] = errors(tmp_path / "none.toml")
    assert "No such file or directory. Check --config." in said
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[node]\n\xff\xfe")
    [said] = errors(binary)
    assert said == "line 2: not UTF-8. Save the file as UTF-8."


def test_trunks_are_not_for_the_environment() -> None:
    [said] = errors(None, {"HUTONG_TRUNKS__NAME": "x"})
    assert said == "environment HUTONG_TRUNKS__NAME: trunks is a list of tables. Set it in the file."


def test_every_setting_is_described_in_both_languages() -> None:
    for entry in entries(Config):
        assert entry.doc.en, entry
        assert any("\u4e00" <= character <= "\u9fff" for character in entry.doc.zh), entry


def test_effective_settings_are_settings(tmp_path: Path) -> None:
    file = write(tmp_path, TRUNKS.format(name="b", kind="local", network="fd00::/8", ranges="[]"))
    config = load_config(file, environ={"HUTONG_ROAMING__HTTP_URL": "http://10.0.0.1/look"})
    shown = "\n".join(effective(config))
    assert load_config(write(tmp_path, shown), environ={}) == config


def test_secrets_are_not_shown() -> None:
    config = load_config(environ={"HUTONG_ROAMING__HTTP_URL": "http://me:hunter2@10.0.0.1/look"})
    shown = "\n".join(effective(config))
    assert "hunter2" not in shown
    assert "http://****@10.0.0.1/look" in shown


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (["config", "check"], 0, "ok\n", ""),
        (["config", "check", "--config", "none.toml"], 1, "", "none.toml: cannot read the settings"),
        (["config", "check", "--confg", "x"], 2, "", "Unknown option"),
        (["confg"], 2, "", "unknown command 'confg'. Did you mean 'config'?"),
        (["--version"], 0, "0.", ""),
        (["--help"], 0, "Usage: hutong COMMAND", ""),
    ],
)
def test_the_command_says_ok_or_what_is_wrong(
    tmp_path: Path, arguments: list[str], status: int, out: str, err: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hutong", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status
    assert done.stdout.startswith(out)
    assert err in done.stderr
    assert "Traceback" not in done.stderr


# Lines of TOML with what makes finding keys hard: strings that look like tables, values over several lines.
KEYS = {"a": "a", "b": "b", '"c.d"': "c.d", "'e f'": "e f", "g-h": "g-h"}
VALUES = [
    "1",
    '"[x]"',
    "'k = 1'",
    '"""\n[t]\nk = 1\n"""',
    "'''\nz = 2'''",
    "[\n 1, # ] [y]\n 2,\n]",
    "{ i = 1 }",
    '"\\""',
]
HEADERS = {"[t]": ("t",), "[t.u]": ("t", "u"), "[v . w]": ("v", "w"), "[[r]]": ("r",)}


def _identity(table: tuple[str, dict[str, str]]) -> object:
    """Only an array of tables may come more than once."""
    return object() if table[0] == "[[r]]" else table[0]


TABLES = st.lists(
    st.tuples(
        st.sampled_from(sorted(HEADERS)), st.dictionaries(st.sampled_from(sorted(KEYS)), st.sampled_from(VALUES))
    ),
    unique_by=_identity,
    max_size=6,
)


@settings(max_examples=200)
@given(TABLES)
def test_every_key_is_found_on_its_own_line(tables: list[tuple[str, dict[str, str]]]) -> None:
    text, expected, items = "# [no] = 1\n", {}, 0
    for header, pairs in tables:
        place: tuple[str | int, ...] = HEADERS[header]
        if header == "[[r]]":
            place = (*place, items)
            items += 1
        expected[place] = text.count("\n") + 1
        text += f"  {header}  # x = 1\n"
        for key, value in pairs.items():
            expected[*place, KEYS[key]] = text.count("\n") + 1
            text += f"{key}= {value}\n"
    tomllib.loads(text)
    assert lines_of(text) == expected


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_host_port, parse_listener, parse_network, parse_range):
        with contextlib.suppress(ConfigError):
            read(text)


@given(st.ip_addresses(), st.integers(0, 65535), st.sampled_from(["udp", "tcp"]))
def test_listeners_round_trip(host: object, port: int, transport: str) -> None:
    text = f"{transport}:[{host}]:{port}" if ":" in str(host) else f"{transport}:{host}:{port}"
    assert str(parse_listener(text)) == text
