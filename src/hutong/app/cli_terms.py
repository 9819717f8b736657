"""What commands about a node share: their parameters, the language they answer in, the data folder and its rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from hutong.app.config import load_config
from hutong.calls.features import SHIPPED_RULES, VOCABULARY
from hutong.calls.rule_book import STAGES_FILE, rule_paths
from hutong.kernel.errors import ConfigError
from hutong.kernel.rules.loader import load_ruleset
from hutong.kernel.rules.stages import read_stages, stages_in_force

if TYPE_CHECKING:
    from hutong.kernel.rules.ruleset import Ruleset

DataFolder = Annotated[Path, Parameter(help="数据目录 / data folder")]
ConfigFile = Annotated[
    Path | None,
    Parameter(help="配置文件，其中 calls.rules_dir 为另加的规则目录 / settings file: names calls.rules_dir"),
]
Lang = Annotated[Literal["zh", "en"] | None, Parameter(help="语言，缺省随系统 / language; default: the system's")]


def language_of(chosen: Literal["zh", "en"] | None) -> Literal["zh", "en"]:
    """The language that was chosen, else the system's."""
    if chosen is not None:
        return chosen
    setting = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if setting.startswith("zh") else "en"


def existing_folder(data: Path) -> Path:
    """The data folder, if it is there.

    Raises:
        ConfigError: it is not.
    """
    if not data.is_dir():
        raise ConfigError("the data folder does not exist.", where=str(data), fix="Start `hutong up` there first.")
    return data


def in_force(data: Path | None, config: Path | None = None) -> Ruleset:
    """The rules of a node, each in its stage: shipped, in the data folder, in `calls.rules_dir`.

    Args:
        data: the data folder; None for the shipped rules and those that the settings add.
        config: the settings file; without one, settings come from the environment.

    Raises:
        ConfigError: the settings are wrong.
        RuleError: a rule file or the stages file is refused; lists every error.
    """
    further = load_config(config, data=data).calls.rules_dir
    folders = [Path(further)] if further else []
    if data is None:
        return load_ruleset([SHIPPED_RULES, *folders], VOCABULARY)
    stages = stages_in_force(read_stages(data / STAGES_FILE))
    return load_ruleset(rule_paths(data, folders), VOCABULARY, stages=stages)
