"""`hutong edge`: writes the configuration of the nginx before the public services, rotates the keys of its tickets."""

from __future__ import annotations

import sys
from pathlib import Path  # cyclopts reads the annotations
from typing import Annotated

from cyclopts import App, Parameter

from hutong.app.config import load_config
from hutong.app.edge.writing import Pages, Places, ticket_keys, write_edge
from hutong.app.overload_config import crowd_processes
from hutong.app.stations_site import station_files
from hutong.codes.public.files import HOME, PREFIX, TEXTS, PublicFiles
from hutong.kernel.clock import SystemClock
from hutong.kernel.errors import StateError
from hutong.kernel.overload.keys import LEAD_MS, KeyFile
from hutong.kernel.web.frame import Frame
from hutong.sampling.station.web.app import PREFIX as STATION

app = App(name="edge", help="边缘:写出 nginx 配置、轮换排队凭证的密钥 / The edge: nginx's configuration, ticket keys")

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]

_NS_IN_MS = 1_000_000


@app.command
def write(*, config: ConfigFile = None, data: DataFolder = None, out: Path | None = None) -> None:
    """写出 nginx 配置 / Write nginx's configuration, once for everybody and once for stations.

    Args:
        config: 配置文件 / settings file.
        data: 数据目录 / data folder.
        out: 写到哪里(默认为数据目录下的 edge) / where to (DATA/edge otherwise).
    """
    settings = load_config(config, data=data)
    home = settings.data.resolve()
    places = Places((out or home / "edge").resolve(), home, crowd_processes(settings.codes, settings.sampling))
    try:
        KeyFile(ticket_keys(home)).keys()
        # Written here once, answered by nginx alone: from an upgrade on, once this is done again.
        pages = {
            "public": Pages(PREFIX, PublicFiles(Frame([HOME], [TEXTS]), settings.node.name).files),
            "stations": Pages(STATION, station_files(settings.node.name).files, f"{PREFIX}static/", tagged=True),
        }
        for file in write_edge(settings.edge, settings.overload, places, pages):
            sys.stdout.write(f'nginx -p {places.folder} -c {file} -g "daemon off;"\n')
    except OSError as error:
        raise StateError(f"Cannot write the edge: {error.strerror}.", where=str(error.filename)) from error


@app.command
def rotate(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """轮换排队凭证的密钥 / Put a new key of waiting tickets beside the present one.

    Reload both nginx within ten minutes: from then on the new key signs.

    Args:
        config: 配置文件 / settings file.
        data: 数据目录 / data folder.
    """
    settings = load_config(config, data=data)
    file = ticket_keys(settings.data)
    try:
        KeyFile(file).rotate(SystemClock().wall() // _NS_IN_MS)
    except OSError as error:
        raise StateError(f"Cannot rotate the keys: {error.strerror}.", where=str(file)) from error
    minutes = LEAD_MS // 60_000
    sys.stdout.write(
        f"新密钥 {minutes} 分钟后启用,请先重新加载两个 nginx (nginx -s reload)。\n"
        f"The new key signs in {minutes} minutes: reload both nginx before (nginx -s reload).\n"
    )
