"""The bodies of requests and answers as typed values; the document is made from what stands here.

Descriptions are in both languages: programmers read them. Values that are not there are null, never left out.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hutong.calls.asking.wire import MAX_FIELD
from hutong.kernel.web.api.bodies import Words  # noqa: TC001  # msgspec reads the annotations

#: Characters of a text, each of which may take four bytes on the wire to the screening process.
_LONG, _SHORT = MAX_FIELD // 2, MAX_FIELD // 4


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """一次呼叫尝试 / One call attempt, before the callee's telephone rings. It has a `source` or a `trunk`."""

    call_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=_LONG,
            description="呼叫标识;32 秒内完全相同的请求得到同一判决,只计一次 / names the attempt; the same attempt "
            "again within 32 s gets the same verdict and counts once",
            examples=["a84b4c76e66710@gw1"],
        ),
    ]
    callee: Annotated[
        str, Meta(min_length=1, max_length=_SHORT, description="被叫号码 / called number", examples=["02161230000"])
    ]
    caller: Annotated[
        str,
        Meta(
            max_length=_SHORT,
            description="主叫号码(有网络证实的身份时用它),可为空 / calling number, the asserted one where there is one",
            examples=["+8613800138000"],
        ),
    ] = ""
    source: Annotated[
        str,
        Meta(max_length=45, description="来源 IP 地址,据此定中继 / address it came from: tells the trunk"),
    ] = ""
    trunk: Annotated[
        str, Meta(max_length=_SHORT, description="中继名称,优先于 source / name of the trunk; wins over source")
    ] = ""
    from_: Annotated[
        str,
        Meta(max_length=_SHORT, description="From 号码,若与 caller 不同 / From's number where it differs from caller"),
    ] = ""
    diverter: Annotated[
        str, Meta(max_length=_SHORT, description="前转方号码 / who diverted the call here, if anybody")
    ] = ""
    anonymous: Annotated[bool, Meta(description="主叫要求隐藏号码 / the caller withholds its number")] = False


class Calls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """多次呼叫,逐个判决 / Several calls; a wrong one spoils no other. At most `api.max_calls`."""

    calls: Annotated[list[Call], Meta(min_length=1, description="呼叫,按次序判决 / judged in this order")]


class FiredRule(msgspec.Struct, frozen=True):
    """触发的规则 / A rule that fired."""

    id: Annotated[str, Meta(description="规则编号 / id of the rule")]
    decided: Annotated[bool, Meta(description="由它决定 / whether it decided")]


class Screened(msgspec.Struct, frozen=True):
    """判决 / The verdict about a call; it is in the journal before this is sent."""

    call_id: Annotated[str, Meta(description="同请求 / as asked")]
    seq: Annotated[int, Meta(description="判决编号 / number of the verdict, for GET /v1/verdicts/{seq}")]
    action: Annotated[
        Literal["pass", "warn", "block"], Meta(description="放行、提醒、拦截 / pass, pass with a warning, refuse")
    ]
    code: Annotated[int, Meta(description="相应的 SIP 状态码 / SIP status that says the same: 302, 603, 607 or 608")]
    reason: Annotated[Words, Meta(description="原因,一行;普通放行为空 / why, one line; empty for an ordinary pass")]
    rules: Annotated[list[FiredRule], Meta(description="触发的规则 / rules that fired, in their order")]
    trunk: Annotated[str, Meta(description="所属中继 / trunk that it was judged on")]
    flags: Annotated[
        list[str],
        Meta(description="fail-open, emergency, allowed-by-list, night, identity-conflict, diverted, anonymous"),
    ]


class ItemProblem(msgspec.Struct, frozen=True):
    """该呼叫的错误 / What is wrong with one call of several (RFC 9457's members)."""

    status: Annotated[
        int, Meta(description="422:请求有误;503:无法判决,应放行 / 422: mend the call; 503: not judged, let it pass")
    ]
    title: Annotated[str, Meta(description="哪一类错误 / the kind")]
    detail: Annotated[str, Meta(description="何处有误、如何处理 / what, where, and what to do")]


class Unscreened(msgspec.Struct, frozen=True):
    """未能判决的呼叫 / A call of several that got no verdict."""

    call_id: Annotated[str | None, Meta(description="同请求,若可读 / as asked, where it could be read")]
    error: ItemProblem


class ScreenedCalls(msgspec.Struct, frozen=True):
    """各呼叫的判决,次序同请求 / The verdicts, in the order of the calls."""

    calls: list[Any]
    """Screened or Unscreened each; msgspec has no union of two untagged structs, so `described` names them."""


class VerdictRow(msgspec.Struct, frozen=True):
    """判决摘要,号码已掩码 / A verdict in short; numbers masked."""

    seq: Annotated[int, Meta(description="编号 / its number")]
    time: Annotated[str, Meta(description="RFC 3339, UTC")]
    call_id: str
    caller: Annotated[str, Meta(description="已掩码 / masked")]
    callee: Annotated[str, Meta(description="已掩码 / masked")]
    trunk: str
    trunk_kind: str
    action: Literal["pass", "warn", "block"]
    code: Annotated[int, Meta(description="SIP 状态码;镜像呼叫为 0 / SIP status; 0 for a call only seen mirrored")]
    rules: list[FiredRule]
    flags: list[str]


class VerdictPage(msgspec.Struct, frozen=True):
    """一页判决,新的在前 / A page of verdicts, newest first."""

    verdicts: list[VerdictRow]
    cursor: Annotated[str | None, Meta(description="下一页;null 为末页 / for the next page; null: there is none")]


class VerdictSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """查询条件;号码不进入网址 / What to look for. Numbers go into the body: addresses are logged."""

    number: Annotated[str, Meta(max_length=64, description="号码,任意写法 / a number in any form; empty: any")] = ""
    role: Annotated[Literal["any", "caller", "callee"], Meta(description="作主叫或被叫 / whose number")] = "any"
    since: Annotated[str, Meta(max_length=40, description="RFC 3339")] = ""
    until: Annotated[str, Meta(max_length=40, description="RFC 3339")] = ""
    action: Literal["", "pass", "warn", "block"] = ""
    rule: Annotated[str, Meta(max_length=128)] = ""
    trunk: Annotated[str, Meta(max_length=128)] = ""
    call_id: Annotated[str, Meta(max_length=_LONG)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, Meta(max_length=64)] = ""


class RuleTold(msgspec.Struct, frozen=True):
    """触发的规则及依据 / A rule that fired, and on what values."""

    id: str
    version: int
    stage: str
    title: Words
    basis: Annotated[str, Meta(description="法律或标准依据 / the law or standard it rests on")]
    runbook: str
    decided: bool
    because: Annotated[dict[str, list[str]], Meta(description="成立的条件与取值 / what held, with the values read")]


class ListHit(msgspec.Struct, frozen=True):
    """命中的名单条目 / A list entry that covered a number of the call."""

    id: int
    side: Literal["caller", "callee"]
    list: Literal["block", "allow"]
    reason: str
    source: str
    who: str


class VerdictStory(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """判决全貌 / A verdict with everything it rests on; numbers masked unless asked otherwise for a purpose."""

    call_id: str
    seq: int
    time: Annotated[str, Meta(description="RFC 3339, UTC")]
    action: Literal["pass", "warn", "block"]
    code: int
    reason: Words
    caller: str
    callee: str
    from_: str
    diverter: str
    trunk: str
    trunk_kind: str
    source: Annotated[str, Meta(description="来源地址 / address the call came from")]
    flags: list[str]
    rules: list[RuleTold]
    lists: list[ListHit]
    ruleset: Annotated[str, Meta(description="规则集摘要 / digest of the rule set")]
    earlier: Annotated[list[int], Meta(description="同一呼叫标识的更早判决 / older verdicts about this Call-ID")]
    masked: Annotated[bool, Meta(description="号码是否掩码 / whether numbers are masked")]


class ListEntry(msgspec.Struct, frozen=True):
    """名单条目 / An entry of a list."""

    id: int
    list: Literal["block", "allow"]
    kind: Literal["number", "prefix", "range"]
    target: Annotated[str, Meta(description="号码(已掩码)、前缀或号段 / number (masked), prefix or range")]
    role: Literal["any", "caller", "callee"]
    reason: str
    source: str
    who: Annotated[str, Meta(description="列入者 / who put it there")]
    created: Annotated[str, Meta(description="RFC 3339, UTC")]
    expires: Annotated[str | None, Meta(description="RFC 3339;null 为永久 / null: never")]
    respond: Annotated[int, Meta(description="拦截时的应答 / answer to a call it blocks: 603, 607, 608")]
    removed: Annotated[str | None, Meta(description="移出时间;null 为有效 / when it was taken off; null: in effect")]
    masked: Annotated[bool, Meta(description="号码是否掩码 / whether the number is masked")]


class ListPage(msgspec.Struct, frozen=True):
    """一页条目,新的在前 / A page of entries, newest first."""

    entries: list[ListEntry]
    cursor: Annotated[str | None, Meta(description="下一页;null 为末页 / for the next page; null: there is none")]


class NewEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """新条目;列入者为令牌所属账号 / A new entry. Who made it is the token's owner."""

    target: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            description="号码、前缀或号段 / a number, a prefix such as 0755*, a range FIRST-LAST",
            examples=["02161230001"],
        ),
    ]
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="原因 / why", examples=["complaint 881"])]
    list: Literal["block", "allow"] = "block"
    role: Annotated[
        Literal["", "any", "caller", "callee"],
        Meta(description="空:block 为主叫,allow 为任一 / empty: caller for block, any for allow"),
    ] = ""
    source: Annotated[str, Meta(max_length=500, description="线索来源 / where the lead came from")] = ""
    expires: Annotated[str, Meta(max_length=40, description="RFC 3339;空为永久 / empty: never")] = ""
    respond: Literal[603, 607, 608] = 608


class RowError(msgspec.Struct, frozen=True):
    """一行的错误 / What is wrong with one row."""

    line: Annotated[int, Meta(description="文件中的行号 / line of the file")]
    column: str
    detail: str
    fix: str


class ImportAnswer(msgspec.Struct, frozen=True):
    """导入结果 / What an import did."""

    rows: Annotated[int, Meta(description="读到的行数 / rows read")]
    applied: Annotated[int, Meta(description="已生效的行数 / rows whose entries are in effect")]
    bad: Annotated[int, Meta(description="错误行数 / rows refused")]
    stopped: Annotated[
        int, Meta(description="因错误过多而停止的行号,0 为读完 / line at which too many were bad; 0: read to its end")
    ]
    errors: Annotated[list[RowError], Meta(description="前 1000 个错误 / the first 1,000 of them")]


class RuleView(msgspec.Struct, frozen=True):
    """规则 / A rule as it is in force."""

    id: str
    version: int
    title: Words
    when: Annotated[str, Meta(description="条件 / the condition, as written")]
    action: Annotated[Literal["observe", "warn", "block"], Meta(description="最高动作 / the most it may ever do")]
    stage: Annotated[Literal["observe", "warn", "block"], Meta(description="当前阶段 / what it does now")]
    ships_in: Annotated[Literal["observe", "warn", "block"], Meta(description="出厂阶段 / the stage its file gives")]
    respond: int
    basis: str
    runbook: str
    certain: Annotated[bool, Meta(description="依据确定事实 / it rests on a fact, not on a likelihood")]


class RuleList(msgspec.Struct, frozen=True):
    """全部规则,按次序 / All rules, in their order."""

    digest: Annotated[str, Meta(description="规则集摘要 / digest of the set")]
    rules: list[RuleView]


class LowerStage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """更低的阶段及理由 / A lower stage and the reason."""

    to: Literal["observe", "warn"]
    why: Annotated[
        str, Meta(min_length=1, max_length=1000, description="理由 / the reason", examples=["two hospitals complained"])
    ]


class NewProposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """提议升级一条规则 / A promotion, put before a second person."""

    rule: Annotated[str, Meta(min_length=1, max_length=128, description="规则编号 / id of the rule")]
    to: Literal["warn", "block"]
    evidence: Annotated[
        str, Meta(min_length=1, max_length=64, description="回测编号 / id of a backtest", examples=["6f0f9d1c5b7a3e21"])
    ]
    why: Annotated[str, Meta(min_length=1, max_length=1000, description="理由 / the grounds")]


class Remarks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """意见 / What there is to say about a decision."""

    why: Annotated[str, Meta(min_length=1, max_length=1000, description="意见或理由 / remarks or the reason")]


class ProposalView(msgspec.Struct, frozen=True):
    """升级提议及其结果 / A proposal and what became of it."""

    number: int
    rule: str
    version: int
    came_from: Literal["observe", "warn", "block"]
    to: Literal["observe", "warn", "block"]
    evidence: Annotated[str, Meta(description="回测编号 / id of a backtest")]
    by: Annotated[str, Meta(description="提议人 / who proposed it")]
    why: str
    time_ms: Annotated[int, Meta(description="毫秒,自 1970 年 / ms since 1970")]
    state: Annotated[
        Literal["open", "approved", "refused", "overtaken"],
        Meta(description="待批准、已批准、已驳回、已失效 / overtaken: the rule was moved or changed otherwise"),
    ]
    decided_by: str
    decided_why: str
    decided_ms: int


class ProposalList(msgspec.Struct, frozen=True):
    """全部提议,新的在前 / Every proposal, newest first."""

    proposals: list[ProposalView]


class EvidenceItem(msgspec.Struct, frozen=True):
    """一次回测 / A backtest: what it tested, over what."""

    id: str
    made_ms: int
    by: str
    rules: Annotated[list[str], Meta(description="规则编号与版本 / ids and versions, id@version")]
    first_ms: int
    last_ms: int
    calls: int


class EvidenceList(msgspec.Struct, frozen=True):
    """全部回测,新的在前 / Every backtest, newest first."""

    evidence: list[EvidenceItem]


class WindowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """号码;不进入网址 / A number. It stands in the body: addresses are logged."""

    number: Annotated[
        str, Meta(min_length=1, max_length=64, description="任意写法 / in any form", examples=["+8613800138000"])
    ]


class WindowValues(msgspec.Struct, frozen=True):
    """号码当前的窗口值 / What the windows hold of a number now."""

    number: Annotated[str, Meta(description="已掩码 / masked")]
    tracked: Annotated[bool, Meta(description="窗口中有无此号码 / whether the windows know the number")]
    at: Annotated[str, Meta(description="取值时间,RFC 3339 / when they were read")]
    values: Annotated[dict[str, float], Meta(description="窗口值,含义见 docs/windows.md / see docs/windows.md")]


class AlertOnCall(msgspec.Struct, frozen=True):
    """一次通话中告警 / One alert on a call under way; see docs/alerts.md."""

    id: Annotated[str, Meta(description="永久标识 / what it is known by, for ever")]
    kind: Literal["long", "costly", "suspicious", "victim"]
    rule: str
    version: int
    stage: Literal["observe", "alert"]
    time: Annotated[str, Meta(description="RFC 3339")]
    caller: Annotated[str, Meta(description="已掩码,除非说明用途 / masked, unless a purpose was given")]
    callee: str
    trunk: str
    call_id: str
    verdict: Annotated[int, Meta(description="呼叫的判决编号 / number of the call's verdict")]
    answered: bool
    ring_s: float
    talk_s: Annotated[float, Meta(description="告警时,结束后为总时长 / when it was raised; in all once the call ended")]
    values: Annotated[dict[str, float | str | bool], Meta(description="条件读到的值 / what the condition read")]
    ended: Annotated[str | None, Meta(description="通话结束时间;null 为仍在进行 / null while the call goes on")]
    outcome: Literal["", "ended", "lost"]
    release: Annotated[int, Meta(description="Q.850 原因或 SIP 状态 / Q.850 cause or SIP status")]


class AlertEventTold(msgspec.Struct, frozen=True):
    """告警事件:发出,或通话结束 / Alerts were raised, or their call ended."""

    id: str
    seq: Annotated[int, Meta(description="日志记录编号 / journal record")]
    event: Literal["raised", "ended", "lost"]
    time: str
    alerts: list[AlertOnCall]


class AlertEvents(msgspec.Struct, frozen=True):
    """按次序的告警事件 / Events of alerts, in order."""

    events: list[AlertEventTold]
    next: Annotated[int, Meta(description="下一次的 since / the next `since`")]
