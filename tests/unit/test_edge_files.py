"""What `hutong edge write` writes, and the units that run it: complete, closed to others, read alike by both sides."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_nodes import LUA, NGINX
from hutong.app import edge_cli
from hutong.app.cli import run
from hutong.app.config import load_config
from hutong.app.edge.writing import NAMES, Places, route_table, write_edge
from hutong.app.overload_config import EdgeConfig, OverloadConfig
from hutong.app.stations_site import station_files
from hutong.kernel.errors import ConfigError, StateError
from hutong.kernel.overload.classes import CLASSES, Kind
from hutong.kernel.overload.routes import Routes
from hutong.kernel.settings import SettingsError

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
UNIT = "hutong-edge@.service"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("edge") / "data"
    assert run(["edge", "write", "--data", str(data)]) == 0
    return data


def test_everything_is_written_once_more_and_the_keys_stay(written: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(it.relative_to(written)): it.read_bytes() for it in written.rglob("*") if it.is_file()}

    before = content()
    (left := written / "edge" / "root" / "public" / "codes" / "static" / "gone.js").write_text("of an older version")
    shown = {it.removeprefix("edge/root/public/") for it in before if it.startswith("edge/root/")}
    assert {"codes/index.zh.html", "codes/index.en.html.gz", "codes/check.zh.html", "codes/worker.js"} < shown
    assert {"codes/files", "codes/manifest.webmanifest", "codes/static/show.js", "static/tokens.css"} < shown
    at_stations = {it.removeprefix("edge/root/stations/") for it in before if it.startswith("edge/root/stations/")}
    needed = station_files(load_config(data=written, environ={}).node.name).files
    assert {path.lstrip("/") for path in needed if "?lang=" not in path} < at_stations, "all that its page keeps"
    assert {"station/index.zh.html", "station/index.en.html.gz", "station/files", "station/worker.js"} < at_stations
    root = written / "edge" / "root" / "stations"
    assert (root / "station" / "index.zh.html").read_bytes() == needed["/station/?lang=zh"].body
    assert not any(it.startswith("station/") for it in shown), "not for everybody"
    assert sorted(it for it in before if not it.startswith("edge/root/")) == [
        "edge/lua/hutong_edge.lua", "edge/lua/hutong_tickets.lua", "edge/pages/away.html", "edge/pages/busy.html",
        "edge/pages/full.html", "edge/public.conf", "edge/stations.conf", "keys/tickets.key",
    ]  # fmt: skip
    assert run(["edge", "write", "--data", str(written)]) == 0
    assert content() == before
    assert not left.exists()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_to_fill_in_and_nobody_outside_is_let_in(written: Path, name: str) -> None:
    text = (written / "edge" / f"{name}.conf").read_text()
    assert not re.findall(r"@[A-Z_]+@", text)
    listens = re.findall(r"listen (\S+)", text)
    assert len(listens) == 2
    assert listens[0].startswith("127.0.0.1:")
    assert listens[1].startswith("unix:")
    assert ("deny all;" in text.split("location")[0]) == (name == "stations")
    below = re.findall(r"location \^~ (/\S+) \{\s+root (\S+);", text)
    prefixes = {"public": ["/codes/"], "stations": ["/station/", "/codes/static/"]}[name]
    assert below == [(it, str(written / "edge" / "root" / name)) for it in prefixes]
    first = {"public": 8, "stations": 32}[name]
    assert f"first_limit = {first}," in text, "what the gates behind it begin with"


@pytest.mark.peer("nginx")
@pytest.mark.skipif(not LUA.exists(), reason="libnginx-mod-http-lua is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_nginx_finds_nothing_wrong_with_it(written: Path, name: str) -> None:
    folder = written / "edge"
    command = [NGINX, "-t", "-q", "-p", str(folder), "-c", str(folder / f"{name}.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_path_that_nginx_would_take_for_something_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    places = Places(folder, folder, dict.fromkeys(NAMES, 1))
    with pytest.raises(ConfigError, match="cannot be given this path"):
        write_edge(EdgeConfig(), OverloadConfig(), places)


def test_a_folder_that_is_too_long_for_a_socket_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["edge", "write", "--data", str(tmp_path / ("d" * 90))]) != 0
    assert "too long for a socket" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('listen = "127.0.0.1:8085"', "edge.listen"),
        ('stations_listen = "127.0.0.1:8082"', "edge.stations_listen"),
        ('tls_key = "/etc/key.pem"', "edge.tls_certificate"),
    ],
)
def test_settings_that_cannot_be_together_are_named(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "hutong.toml"
    file.write_text(f"[edge]\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        load_config(file, environ={})
    assert says in str(caught.value)


def test_a_rotation_says_what_to_do_and_is_refused_until_it_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edge_cli.rotate(data=tmp_path)
    said = capsys.readouterr().out
    assert "nginx -s reload" in said
    assert "10 分钟" in said
    with pytest.raises(StateError, match="does not sign yet"):
        edge_cli.rotate(data=tmp_path)


# --- the table of paths, as the gate and as nginx read it ---

PREFIXES = [route.prefix for route in route_table().routes]
paths = st.builds(
    lambda prefix, rest: prefix + rest,
    st.sampled_from([*PREFIXES, "", "/v1", "/codes/whyx"]),
    st.sampled_from(["", "/", "x", "/x", "/keys", "/history", "/bundle/a/b"]),
).filter(bool)


def _as_nginx(text: str, path: str) -> str:
    for pattern, name in re.findall(r"^\s+~(\S+) (\w+);$", text, re.MULTILINE):
        if re.search(pattern, path):
            return str(name)
    return "history"


@given(paths)
def test_gate_and_edge_agree_on_the_class_of_every_path(written: Path, path: str) -> None:
    for name, best in (("public", Kind.SCAN), ("stations", Kind.CRITICAL)):
        kind = Routes(route_table().routes, best).kind(path)
        expected = "free" if kind is None else CLASSES[kind].name
        assert _as_nginx((written / "edge" / f"{name}.conf").read_text(), path) == expected


def test_the_page_says_what_the_classes_are() -> None:
    page = (DEPLOY.parents[1] / "docs" / "overload.md").read_text()
    rows = {
        name: cells
        for name, *cells in re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    }
    for one in CLASSES:
        within = f"{one.deadline_ms} ms" if one.deadline_ms < 1000 else f"{one.deadline_ms // 1000} s"
        assert rows[one.name] == [str(one.queue), within, "all" if one.share == 1 else f"{one.share * 100:.0f} %"]


# --- units ---


@pytest.mark.peer("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units_and_they_may_do_little(tmp_path: Path) -> None:
    for name in NAMES:
        # What an instance is made from, under its own name: an absent data folder is no fault of the unit.
        unit = tmp_path / f"hutong-edge-{name}.service"
        unit.write_text((DEPLOY / UNIT).read_text().replace("%i", name).replace("/usr/sbin/nginx", "/bin/true"))
        for command in (
            ["verify", "--man=no", "--generators=no", str(unit)],
            ["security", "--offline=true", "--threshold=20", "--no-pager", str(unit)],
        ):
            whole = ["systemd-analyze", *command]
            done = subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
    units = (DEPLOY / "hutong-edge@stations.service.d" / "share.conf", DEPLOY / UNIT)
    stations, everybody = (int(re.findall(r"CPUWeight=(\d+)", it.read_text())[0]) for it in units)
    assert stations > everybody
