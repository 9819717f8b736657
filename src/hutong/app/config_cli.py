"""`hutong config`: check the settings before they are used, show those in effect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from hutong.app.config import Config, load_config
from hutong.kernel import settings
from hutong.kernel.reporter import is_secret, mask_user_info

if TYPE_CHECKING:
    from collections.abc import Iterator

app = App(name="config", help="配置:检查、查看 / Settings: check them, show them")

ConfigFile = Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")]
DataFolder = Annotated[Path | None, Parameter(help="数据目录 / data folder")]


@app.command
def check(*, config: ConfigFile = None) -> None:
    """检查配置:无误则输出 ok,否则列出全部错误 / Print "ok", or everything that is wrong and where."""
    load_config(config)
    sys.stdout.write("ok\n")


@app.command
def show(*, config: ConfigFile = None, data: DataFolder = None) -> None:
    """显示生效的配置及说明,密钥已隐去 / Show the settings in effect with their meaning, secrets masked."""
    sys.stdout.write("\n".join(effective(load_config(config, data=data))) + "\n")


def effective(config: Config) -> Iterator[str]:
    """Settings in effect as lines of TOML, each below what it means in both languages."""
    fields = list(settings.entries(Config))
    for section in dict.fromkeys(field.section for field in fields):
        own = [field for field in fields if field.section == section]
        value = getattr(config, section)
        for item in value if own[0].repeated else (value,):
            yield f"[[{section}]]" if own[0].repeated else f"[{section}]"
            for field in own:
                unit = f" ({field.doc.unit})" if field.doc.unit else ""
                yield f"# {field.doc.zh} / {field.doc.en}{unit}"
                set_to = getattr(item, field.key)
                shown = "****" if is_secret(field.key) and isinstance(set_to, str) and set_to else set_to
                yield f"{field.key} = {mask_user_info(msgspec.json.encode(shown).decode())}"
            yield ""
