"""The table of permissions: what there is to allow, and which role has it. Tests and docs are made from it.

Duties are kept apart: who manages accounts sees no subscriber's data; who judges calls reviews no trail.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

Role = Literal["viewer", "analyst", "operator", "auditor", "administrator", "partner"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
#: People of this house; partners are of other agencies, and are shown what is theirs.
_HOUSE: Final[tuple[Role, ...]] = tuple(role for role in ROLES if role != "partner")

ROLE_TITLES: Final[dict[Role, dict[str, str]]] = {
    "viewer": {"zh": "观察员", "en": "Viewer"},
    "analyst": {"zh": "分析员", "en": "Analyst"},
    "operator": {"zh": "值班员", "en": "Operator"},
    "auditor": {"zh": "审计员", "en": "Auditor"},
    "administrator": {"zh": "管理员", "en": "Administrator"},
    "partner": {"zh": "协作单位", "en": "Partner"},
}


class Permission(msgspec.Struct, frozen=True):
    """Something that a person or a token may be allowed to do.

    Attributes:
        name: `thing.deed`; also the scope of a token.
        roles: who has it.
    """

    name: str
    zh: str
    en: str
    roles: frozenset[Role]


def _of(name: str, zh: str, en: str, *roles: Role) -> Permission:
    return Permission(name, zh, en, frozenset(roles))


PERMISSIONS: Final[dict[str, Permission]] = {
    it.name: it
    for it in (
        _of("live.read", "看实况", "see the live wall", *_HOUSE),
        _of("health.read", "看系统状况", "see the system's health", *_HOUSE),
        _of("metrics.read", "读指标", "read metrics", *_HOUSE),
        _of("rules.read", "看规则", "see rules", *_HOUSE),
        _of("trunks.read", "看中继", "see trunks", *_HOUSE),
        _of("account.own", "管理自己的账号", "manage one's own account", *ROLES),
        _of("verdicts.read", "看判决(号码已掩码)", "see verdicts, numbers masked", "analyst", "operator", "auditor"),
        _of("numbers.read", "查询号码与呼叫", "look up numbers and calls", "analyst", "operator"),
        _of("numbers.unmask", "说明用途后看完整号码", "see whole numbers for a stated purpose", "analyst", "operator"),
        _of("lists.read", "看名单", "see lists", "analyst", "operator", "auditor"),
        _of("lists.change", "改名单", "change lists", "operator"),
        _of("rules.propose", "提议升级规则", "propose to promote a rule", "analyst", "operator"),
        _of("rules.approve", "批准或驳回他人的升级提议", "approve or refuse others' proposals", "operator"),
        _of("rules.demote", "降级规则", "demote rules", "operator"),
        _of("calls.screen", "经接口筛查呼叫", "screen calls over HTTP", "operator"),
        _of("tables.export", "导出表格", "export tables", "analyst", "operator", "auditor"),
        _of("cases.read", "看案件与台账", "see cases and registers", "analyst", "operator", "auditor", "partner"),
        _of(
            "cases.unmask",
            "看案件中的完整号码",
            "see whole numbers in cases",
            "analyst",
            "operator",
            "partner",
        ),
        _of("cases.find", "立案、导入台账", "open cases, import registers", "analyst", "operator"),
        _of("cases.work", "办理案件", "work on cases", "analyst", "operator", "partner"),
        _of("cases.assign", "派发、转办、并案、督办", "assign, transfer, merge and supervise cases", "operator"),
        _of("cases.verify", "核验他人的处置", "verify what others did", "analyst", "operator"),
        _of("cases.close", "销号、暂受风险", "close cases, accept risks", "operator"),
        _of("orders.read", "看指令", "see orders", "analyst", "operator", "auditor"),
        _of("orders.request", "申请封停、解封、限制指令", "request orders", "analyst", "operator"),
        _of("orders.approve", "批准或驳回他人的指令申请", "approve or decline others' orders", "operator"),
        _of("orders.lift", "提前解除指令", "lift orders early", "operator"),
        _of("evidence.pack", "说明用途后制作证据包", "make evidence packs for a stated purpose", "operator"),
        _of("appeals.read", "看申诉", "see appeals", "analyst", "operator", "auditor"),
        _of("appeals.decide", "裁定申诉", "decide appeals", "operator"),
        _of("handoffs.read", "看劝阻移交", "see hand-offs to the dissuasion desk", "analyst", "operator", "auditor"),
        _of("handoffs.answer", "回填劝阻结果", "say what became of hand-offs", "analyst", "operator"),
        _of("bulletins.read", "看通报", "see bulletins", "viewer", "analyst", "operator", "auditor"),
        _of("bulletins.make", "拟通报、导入损失数据", "make bulletins, import losses", "analyst", "operator"),
        _of("bulletins.sign", "签发通报", "sign bulletins", "operator"),
        _of("reports.read", "看群众举报(号码已掩码)", "see reports, numbers masked", "analyst", "operator", "auditor"),
        _of("reports.take", "受理群众举报", "take reports from people in", "analyst", "operator"),
        _of(
            "codes.read",
            "看码色规则与人数、改码、场所、查询令(不含人员)",
            "see colour rules and figures, changes by hand, venues, orders of look-up; no people",
            "analyst",
            "operator",
            "auditor",
            "partner",
        ),
        _of(
            "codes.explain",
            "说明用途后看某人的码色及其依据",
            "see why a person has a colour, for a stated purpose",
            "operator",
        ),
        _of("codes.set", "申请人工改码", "ask for a colour by hand", "operator", "partner"),
        _of("codes.approve", "批准或驳回他单位的改码申请", "decide what another agency asked", "operator", "partner"),
        _of("codes.lift", "提前解除人工改码", "lift a colour given by hand", "operator", "partner"),
        _of("codes.decide", "裁定健康码申诉", "decide appeals against colours", "operator"),
        _of("codes.issue", "代人领取码、打印纸质码", "issue codes for people, print paper codes", "operator"),
        _of("codes.revoke", "注销码", "revoke codes", "operator"),
        _of("codes.keys", "看码的签名密钥的状态", "see the state of codes' signing keys", "auditor", "administrator"),
        _of("codes.venues_change", "登记场所、换码、停用", "register venues, replace and withdraw codes", "operator"),
        _of("replica.follow", "让只读副本取得变更", "let a read replica follow changes", "operator"),
        _of("codes.merge", "合并设备的扫码登记", "merge scans from devices' files", "operator"),
        _of("codes.lookup_request", "申请扫码登记的查询令", "ask for an order to look scans up", "partner"),
        _of(
            "codes.lookup_approve",
            "批准、驳回、撤销查询令",
            "decide and revoke orders of look-up",
            "operator",
            "partner",
        ),
        _of("codes.lookup", "依令查询扫码登记", "look scans up under an order", "partner"),
        _of("sampling.read", "看采样(人员已掩码)", "see sampling, people masked", "analyst", "operator", "auditor"),
        _of(
            "sampling.person", "说明用途后查某人结果", "look up a person's results for a purpose", "analyst", "operator"
        ),
        _of(
            "sampling.register", "登记、封管、交接", "register people to tubes, seal, hand over", "analyst", "operator"
        ),
        _of("sampling.results", "接收试管、导入结果", "receive tubes, take in results", "analyst", "operator"),
        _of("sampling.recall", "召回复核", "recall people for single tests", "analyst", "operator"),
        _of("sampling.pair", "发出采样点平板的配对码", "give codes that pair stations' tablets", "operator"),
        _of("sampling.settle", "核定存疑的结果", "settle results that are in doubt", "operator"),
        _of("sampling.order", "申请应急采样", "ask for emergency sampling", "analyst", "operator"),
        _of("sampling.approve", "批准、解除应急采样", "approve and lift emergency sampling", "operator"),
        _of("settings.read", "看配置", "see settings", "operator", "auditor", "administrator"),
        _of("trail.read", "看操作记录", "see the trail", "auditor"),
        _of("people.read", "看账号", "see accounts", "auditor", "administrator"),
        _of("people.change", "管理账号", "manage accounts", "administrator"),
        _of(
            "tokens.own",
            "管理自己的令牌",
            "manage one's own tokens",
            "analyst",
            "operator",
            "auditor",
            "administrator",
            "partner",
        ),
        _of("tokens.change", "吊销他人的令牌", "revoke anybody's tokens", "administrator"),
    )
}


def permissions_of(role: Role) -> frozenset[str]:
    """The names of what a role may do."""
    return frozenset(it.name for it in PERMISSIONS.values() if role in it.roles)


def permissions_table() -> str:
    """Permissions and the roles that have them, as a table for docs/people.md."""
    heads = [f"{role} {ROLE_TITLES[role]['zh']}" for role in ROLES]
    lines = [f"| permission | | {' | '.join(heads)} |", "|---|---|" + ":-:|" * len(ROLES)]
    for it in PERMISSIONS.values():
        marks = " | ".join("●" if role in it.roles else "" for role in ROLES)
        lines.append(f"| `{it.name}` | {it.en} {it.zh} | {marks} |")
    return "\n".join(lines) + "\n"
