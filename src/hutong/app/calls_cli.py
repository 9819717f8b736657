"""`hutong calls`: the screening node alone, and the story behind a verdict."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

app = App(name="calls", help="呼叫:筛查、解释判决 / Calls: screen them, explain verdicts")

_Data = Annotated[Path, Parameter(help="数据目录 / data folder")]


@app.command
def screen(
    *,
    data: Annotated[Path | None, Parameter(help="数据目录 / data folder")] = None,
    listen: Annotated[tuple[str, ...], Parameter(help="监听,如 udp:127.0.0.1:5060 / where to listen")] = (),
    config: Annotated[Path | None, Parameter(help="配置文件 (TOML) / settings file (TOML)")] = None,
) -> int:
    """单独运行筛查节点 / Run the screening node alone."""
    from hutong.app.screen import run  # noqa: PLC0415  # compiled code is loaded only by who screens

    return run(config, data, listen)


@app.command
def explain(
    call_id: Annotated[str, Parameter(help="呼叫标识 / Call-ID")],
    *,
    data: _Data = Path("var"),
    lang: Annotated[Literal["zh", "en"], Parameter(help="语言 / language")] = "zh",
    json: Annotated[bool, Parameter(help="输出 JSON / print JSON", negative="")] = False,
) -> int:
    """说明一次呼叫为何被放行、提醒或拦截 / Say why a call was passed, warned about or blocked."""
    from hutong.calls.explain import Verdicts, tell, told  # noqa: PLC0415  # as above

    verdicts = Verdicts(data)
    stories = [verdicts.explain(verdict) for verdict in verdicts.by_call_id(call_id)]
    if not stories:
        sys.stderr.write(f"没有该呼叫的记录 / no verdict about {call_id!r} is kept in {data}\n")
        return 1
    if json:
        earlier = [story.verdict.seq for story in stories[1:]]
        newest = told(stories[0], earlier=earlier, outcome=verdicts.outcome_of(stories[0].verdict))
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(newest)).decode() + "\n")
    else:
        texts = [tell(story, lang, verdicts.outcome_of(story.verdict)) for story in stories]
        sys.stdout.write("\n\n".join("\n".join(lines) for lines in texts) + "\n")
    return 0


@app.command
def replay(  # noqa: PLR0913  # what it is asked, one option each
    *files: Annotated[Path, Parameter(help="话单文件 (CSV、Parquet) 或归档目录 / call records, or an archive folder")],
    rules: Annotated[Path | None, Parameter(help="规则目录,缺省为随附规则 / folder of rules; default: shipped")] = None,
    out: Annotated[
        Path | None, Parameter(help="结果文件 .csv 或 .parquet,缺省为标准输出 / results; default: stdout")
    ] = None,
    config: Annotated[Path | None, Parameter(help="配置文件:中继、时区 / settings file: trunks, time zone")] = None,
    data: Annotated[
        Path | None, Parameter(help="数据目录:名单、漫游表、阶段 / data folder: lists, roaming, stages")
    ] = None,
    layout: Annotated[Path | None, Parameter(help="话单格式 (TOML) / layout of the records (TOML)")] = None,
    errors: Annotated[Path | None, Parameter(help="错误行写入此文件 / where bad rows go")] = None,
    stop_share: Annotated[float, Parameter(help="错误行占比上限 / share of bad rows at which to stop")] = 0.01,
    as_if_promoted: Annotated[
        bool, Parameter(help="各规则按其最高动作判决 / judge as if every rule were at its own action", negative="")
    ] = False,
    shards: Annotated[int, Parameter(help="分片数,号码分到各片 / shards that numbers are spread over")] = 1,
    spark: Annotated[
        str, Parameter(help="在 Spark 上运行,如 local[2];--out 为目录 / run on this Spark master; --out is a folder")
    ] = "",
    lang: Annotated[
        Literal["zh", "en"] | None, Parameter(help="语言,缺省随系统 / language; default: the system's")
    ] = None,
) -> int:
    """用与实时相同的规则和窗口重放话单 / Judge call records as live calls are judged; see docs/records.md."""
    from hutong.app.replay import Options, replay  # noqa: PLC0415  # as above

    return replay(
        Options(
            files=files,
            rules=rules,
            out=out,
            config=config,
            data=data,
            layout=layout,
            errors=errors,
            stop_share=stop_share,
            as_if_promoted=as_if_promoted,
            shards=shards,
            spark=spark,
            lang=lang,
        )
    )
