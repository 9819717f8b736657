"""What a province is made of: the tree of parameters, and the reader of their file. The values are in `data/`.

The shipped file gives each value with its source, or says that it is an assumption; a file of one's own names only
what it changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from hutong.kernel import settings
from hutong.kernel.errors import ConfigError
from hutong.kernel.settings import Doc

SHIPPED = Path(__file__).parent / "data" / "parameters.toml"

_Share = Annotated[float, Meta(ge=0, le=1)]
_Positive = Annotated[float, Meta(gt=0)]
_Hours = Annotated[tuple[float, ...], Meta(min_length=24, max_length=24)]


def _weight(value: float) -> None:
    if not value >= 0:
        raise ConfigError("a weight below 0.", fix="Write 24 weights from midnight on, 0 or more.")


_HOURS = Doc(zh="24 小时的权重,自零时起", en="weights of the 24 hours from midnight on, local time", check=_weight)


class Calendar(msgspec.Struct, frozen=True):
    """When the records begin, and which days are not working days."""

    start: Annotated[str, Doc(zh="首日(当地日期)", en="first day, local date")]
    utc_offset_hours: Annotated[int, Meta(ge=-12, le=14), Doc(zh="当地时间与 UTC 之差", en="local time less UTC")]
    rest_days: Annotated[
        tuple[str, ...], Doc(zh="周末之外的休息日", en="days of rest besides Saturdays and Sundays, local dates")
    ]
    working_days: Annotated[
        tuple[str, ...], Doc(zh="调休上班的周末", en="Saturdays and Sundays that are working days, local dates")
    ]
    term: Annotated[bool, Doc(zh="学校是否在学期中", en="whether schools are in term")]


class Place(msgspec.Struct, frozen=True):
    """The province and its networks."""

    areas: Annotated[tuple[str, ...], Meta(min_length=1), Doc(zh="区号,带 0", en="area codes with their 0")]
    area_weights: Annotated[
        tuple[float, ...], Doc(zh="各区人口权重", en="population of each area, any unit", check=_weight)
    ]
    home_operator: Annotated[str, Doc(zh="话单所属运营商", en="operator whose trunk is called local")]
    operators: Annotated[tuple[str, ...], Doc(zh="运营商", en="operators of mobile numbers")]
    operator_weights: Annotated[tuple[float, ...], Doc(zh="各运营商份额", en="share of each", check=_weight)]
    virtual_share: Annotated[
        _Share, Doc(zh="虚拟运营商号码占比", en="share of mobile numbers resold by virtual operators")
    ]
    block_fill: Annotated[
        float, Meta(ge=0.05, le=0.95), Doc(zh="万号段的占用率", en="share of a block of 10,000 numbers that is in use")
    ]
    persons_per_cell: Annotated[int, Meta(ge=1), Doc(zh="每小区的人数", en="persons that live in one cell")]


class People(msgspec.Struct, frozen=True):
    """Who lives there."""

    household_sizes: Annotated[
        tuple[float, ...],
        Meta(min_length=1),
        Doc(zh="一人户、二人户……的权重", en="weights of 1, 2, … persons", check=_weight),
    ]
    students: Annotated[_Share, Doc(zh="学生占比", en="share of students among those with a telephone")]
    elders: Annotated[_Share, Doc(zh="60 岁以上占比", en="share of people of 60 and more")]
    newcomers: Annotated[_Share, Doc(zh="每月新开户的占比", en="share of users who begin within a month")]
    second_sim: Annotated[_Share, Doc(zh="双卡用户占比", en="share of people with a second card in their telephone")]
    landlines: Annotated[_Share, Doc(zh="有固定电话的家庭占比", en="share of households with a fixed line")]
    workplace_size: Annotated[int, Meta(ge=2), Doc(zh="单位(班级)平均人数", en="mean size of a workplace or class")]
    abroad: Annotated[_Share, Doc(zh="同时在境外漫游的占比", en="share of people who are abroad at a time")]
    roaming_unknown: Annotated[_Share, Doc(zh="漫游查询失败的占比", en="share of roaming look-ups that fail")]


class Calling(msgspec.Struct, frozen=True):
    """How people call each other."""

    calls_per_user_month: Annotated[
        _Positive, Doc(zh="人均每月呼叫数(含各行业与诈骗)", en="calls a user and month, trades and fraud included")
    ]
    spread: Annotated[float, Meta(ge=0, le=3), Doc(zh="个人之间的对数标准差", en="log-normal spread between persons")]
    contacts: Annotated[int, Meta(ge=2, le=64), Doc(zh="联系人平均数", en="mean number of contacts of a person")]
    contact_bias: Annotated[
        _Positive, Doc(zh="联系人的齐夫指数", en="Zipf exponent of how unequally contacts are called")
    ]
    family: Annotated[_Share, Doc(zh="联系人中家人占比", en="share of family among contacts")]
    colleagues: Annotated[_Share, Doc(zh="联系人中同事占比", en="share of colleagues or class-mates among contacts")]
    elsewhere: Annotated[_Share, Doc(zh="联系人中外省占比", en="share of contacts in other provinces")]
    abroad: Annotated[_Share, Doc(zh="联系人中境外占比", en="share of contacts in other countries")]
    services: Annotated[
        _Share, Doc(zh="呼叫服务机构的占比", en="share of calls to services, shops, hospitals, public lines")
    ]
    emergency: Annotated[_Share, Doc(zh="其中紧急号码占比", en="share of emergency numbers among those")]
    called_from_elsewhere: Annotated[
        _Share, Doc(zh="外省来话与本省人呼外省之比", en="calls from other provinces for each call made to them")
    ]
    strangers: Annotated[
        _Share, Doc(zh="误拨或初次拨打占比", en="share of calls to people never called before, wrong numbers included")
    ]
    worker_hours: Annotated[_Hours, _HOURS]
    rest_hours: Annotated[_Hours, _HOURS]
    student_hours: Annotated[_Hours, _HOURS]
    elder_hours: Annotated[_Hours, _HOURS]
    rest_volume: Annotated[
        _Positive, Doc(zh="休息日话务与工作日之比", en="volume of a day of rest against a working day")
    ]
    answered: Annotated[_Share, Doc(zh="熟人来电接通率", en="share of answered calls from a contact")]
    answered_service: Annotated[_Share, Doc(zh="服务机构接通率", en="share of answered calls to a service")]
    ring_s: Annotated[_Positive, Doc(zh="接通前振铃中位数(秒)", en="median seconds of ringing before an answer")]
    ring_spread: Annotated[_Positive, Doc(zh="振铃的对数标准差", en="log-normal spread of ringing")]
    talk_s: Annotated[_Positive, Doc(zh="通话中位数(秒)", en="median seconds of talk")]
    talk_shape: Annotated[
        float, Meta(gt=1), Doc(zh="通话时长对数逻辑斯谛形状", en="shape of the log-logistic talk time")
    ]
    longest_s: Annotated[_Positive, Doc(zh="最长通话(秒)", en="longest talk, seconds")]
    redial: Annotated[_Share, Doc(zh="未接后重拨占比", en="share of unanswered calls that are dialled again")]
    call_back: Annotated[_Share, Doc(zh="未接后回拨占比", en="share of unanswered calls that are returned")]
    withheld: Annotated[
        _Share, Doc(zh="境外来话隐藏号码占比", en="share of calls from abroad that withhold their number")
    ]


class Trade(msgspec.Struct, frozen=True):
    """A kind of caller that is easily taken for fraud."""

    lines_per_10k: Annotated[_Positive, Doc(zh="每万人号码数", en="numbers for each 10,000 persons")]
    calls_per_day: Annotated[_Positive, Doc(zh="工作日每号呼叫数", en="calls of a number on a working day")]
    spread: Annotated[float, Meta(ge=0, le=2), Doc(zh="号码之间的对数标准差", en="log-normal spread between numbers")]
    hours: Annotated[_Hours, _HOURS]
    rest_volume: Annotated[
        float, Meta(ge=0, le=3), Doc(zh="休息日与工作日之比", en="volume of a day of rest against a working day")
    ]
    batch: Annotated[int, Meta(ge=1), Doc(zh="每批呼叫数,1 为不成批", en="calls in one batch; 1 = one by one")]
    batch_s: Annotated[_Positive, Doc(zh="一批历时(秒)", en="seconds within which a batch begins")]
    regulars: Annotated[_Share, Doc(zh="呼叫老客户的占比", en="share of calls to a number's regular customers")]
    answered: Annotated[_Share, Doc(zh="接通率", en="share of answered calls")]
    talk_s: Annotated[_Positive, Doc(zh="通话中位数(秒)", en="median seconds of talk")]
    talk_shape: Annotated[float, Meta(gt=1), Doc(zh="通话时长形状", en="shape of the log-logistic talk time")]
    call_back: Annotated[_Share, Doc(zh="未接后被回拨占比", en="share of unanswered calls that are returned")]


class Fraud(msgspec.Struct, frozen=True):
    """All campaigns together."""

    share: Annotated[float, Meta(ge=0, le=0.5), Doc(zh="诈骗呼叫占比", en="share of fraud among all calls")]
    landlines: Annotated[
        _Share, Doc(zh="被叫为固定电话的占比", en="share of fixed lines among the callees of campaigns")
    ]


class Campaign(msgspec.Struct, frozen=True):
    """One kind of campaign."""

    weight: Annotated[float, Meta(ge=0), Doc(zh="在诈骗呼叫中的权重", en="weight among fraud calls")]
    size: Annotated[
        int, Meta(ge=1), Doc(zh="一次活动的呼叫数", en="calls of one campaign; larger shares make more campaigns")
    ]
    per_minute: Annotated[
        _Positive, Doc(zh="活跃时每分钟呼叫数", en="calls a minute of one campaign while it is active")
    ]
    callers: Annotated[int, Meta(ge=1), Doc(zh="同时使用的号码数", en="caller numbers in use at a time")]
    calls_per_caller: Annotated[
        int, Meta(ge=1), Doc(zh="每号呼叫数后更换", en="calls after which a number is replaced")
    ]
    hours: Annotated[_Hours, _HOURS]
    answered: Annotated[_Share, Doc(zh="接通率", en="share of answered calls")]
    ring_s: Annotated[_Positive, Doc(zh="振铃中位数(秒)", en="median seconds of ringing")]
    talk_s: Annotated[
        _Positive, Doc(zh="未受骗者通话中位数(秒)", en="median seconds of talk of those who are not taken in")
    ]
    victims: Annotated[_Share, Doc(zh="接听者中受骗占比", en="share of those who answer that are taken in")]
    victim_talk_s: Annotated[
        _Positive, Doc(zh="受骗者通话中位数(秒)", en="median seconds of talk of those who are taken in")
    ]
    call_back: Annotated[_Share, Doc(zh="未接后被回拨占比", en="share of unanswered calls that are returned")]


class SpoofedPolice(Campaign, frozen=True):
    """Police and prosecutors, from abroad."""

    foreign: Annotated[_Share, Doc(zh="显示境外号码的占比", en="share of calls that show a plausible foreign number")]
    service: Annotated[
        _Share, Doc(zh="显示服务或紧急号码的占比", en="share of calls that show a service or emergency number")
    ]


class SimBox(Campaign, frozen=True):
    """Cards in boxes."""

    cards_per_device: Annotated[int, Meta(ge=1), Doc(zh="每个设备号的卡数", en="cards that share one IMEI")]


class Adaptive(Campaign, frozen=True):
    """A campaign that changes when it is blocked."""

    assumed_calls: Annotated[
        int,
        Meta(ge=1),
        Doc(zh="无人告知时,每号多少次后视为被封", en="calls after which a number counts as blocked when nobody tells"),
    ]
    refused: Annotated[int, Meta(ge=1), Doc(zh="被拒多少次后更换", en="refusals after which it changes")]
    slower: Annotated[
        float, Meta(gt=0, le=1), Doc(zh="每次更换后的速度倍数", en="what its pace is multiplied by at each change")
    ]
    slowest: Annotated[_Positive, Doc(zh="最低每分钟呼叫数", en="calls a minute below which it does not go")]


class Parameters(msgspec.Struct, frozen=True):
    """Everything that a province is made of."""

    calendar: Calendar
    province: Place
    people: People
    calling: Calling
    courier: Trade
    delivery_station: Trade
    ride_driver: Trade
    hospital: Trade
    school: Trade
    bank: Trade
    call_centre: Trade
    marketing: Trade
    insurance_agent: Trade
    enterprise: Trade
    conference: Trade
    city_hall: Trade
    consumer_line: Trade
    anti_fraud_line: Trade
    emergency_line: Trade
    small_business: Trade
    fraud: Fraud
    spoofed_police: SpoofedPolice
    sequential_robocall: Campaign
    wangiri: Campaign
    refund: Campaign
    sim_box: SimBox
    relay: Campaign
    forged_service: Campaign
    virtual_desk: Campaign
    adaptive: Adaptive


def load_parameters(file: Path | None = None) -> Parameters:
    """The shipped parameters, with what `file` changes.

    Raises:
        SettingsError: unknown keys, values out of bounds, or values that do not fit together; each with its line.
    """
    shipped = settings.load(Parameters, SHIPPED, {})
    return shipped if file is None else settings.load(Parameters, file, {}, check=_misfits, base=shipped)


def _misfits(found: Parameters) -> list[settings.Problem]:
    problems = []
    place = found.province
    for names, weights, key in (
        (place.areas, place.area_weights, "area_weights"),
        (place.operators, place.operator_weights, "operator_weights"),
    ):
        if len(names) != len(weights) or not sum(weights) > 0:
            fix = f"Write {len(names)} weights, at least one above 0."
            problems.append(settings.Problem(("province", key), f"{key} does not fit its names.", fix))
    calling = found.calling
    if calling.family + calling.colleagues + calling.elsewhere + calling.abroad > 1:
        problems.append(
            settings.Problem(
                ("calling", "family"), "the shares of contacts add up to more than 1.", "Lower one of them."
            )
        )
    return problems
