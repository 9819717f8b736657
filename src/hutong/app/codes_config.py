"""Settings of personal codes: a part of the tree in `config`, which is long enough without it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hutong.app import checks
from hutong.kernel.settings import Doc


class CodesConfig(msgspec.Struct, frozen=True):
    """Personal codes."""

    listen: Annotated[
        str,
        Doc(
            zh="一码通公众页面的监听地址,如 127.0.0.1:8085;空为不提供",
            en="address of the public pages of codes, such as 127.0.0.1:8085; empty = none",
            check=checks.host_port_or_none,
        ),
    ] = ""
    processes: Annotated[
        int,
        Meta(ge=1, le=64),
        Doc(
            zh="公众服务的进程数;第 n 个监听 listen 的端口加 n-1,由边缘分派",
            en="processes that serve the public; the n-th listens n - 1 ports above listen",
            unit="processes",
        ),
    ] = 1
    algorithm: Annotated[
        Literal["EdDSA", "ES256"], Doc(zh="新密钥的签名算法", en="algorithm of keys that are made from now on")
    ] = "EdDSA"
    key_days: Annotated[
        int,
        Meta(ge=7, le=365),
        Doc(zh="签名密钥多久换一把", en="after how long the next key signs", unit="d"),
    ] = 90
    hours: Annotated[
        int,
        Meta(ge=1, le=72),
        Doc(zh="手机一次领取多久的码", en="for how long a phone's bundle of codes lasts", unit="h"),
    ] = 24
    step_seconds: Annotated[
        int,
        Meta(ge=60, le=3600),
        Doc(zh="每个码显示多久", en="for how long each code is shown", unit="s"),
    ] = 300
    slack_seconds: Annotated[
        int,
        Meta(ge=0, le=600),
        Doc(
            zh="显示前后多久仍算有效(手机时钟误差)",
            en="for how long before and after that it is good, for clocks that differ",
            unit="s",
        ),
    ] = 60
    paper_days: Annotated[int, Meta(ge=1, le=90), Doc(zh="纸质码的有效期", en="term of paper codes", unit="d")] = 30
    operator_url: Annotated[
        str,
        Doc(
            zh="运营商实名核验网址:手机号是否为证件本人名下(带签名),空则不问",
            en="operator's service that says whether a number is registered to the holder of a document; empty = none",
            check=checks.url_or_none,
        ),
    ] = ""
    operator_file: Annotated[
        str,
        Doc(
            zh="不用网址时:运营商提供的机主散列文件",
            en="instead of the address: file of keyed hashes of who holds which number",
            check=checks.file_or_none,
        ),
    ] = ""
    operator_secret: Annotated[
        str, Doc(zh="与运营商共有的密钥:签名或散列", en="secret shared with the operator, of signatures or of hashes")
    ] = ""
    operator_seconds: Annotated[
        int, Meta(ge=1, le=30), Doc(zh="等待运营商答复多久", en="how long the operator may take to answer", unit="s")
    ] = 3
    operator_unanswered: Annotated[
        Literal["refuse", "register"],
        Doc(
            zh="运营商不答复或不知道时:拒绝,或登记为未核实并在码上注明",
            en="where the operator gives no answer or does not know: refuse, or register as unproven, as codes say",
        ),
    ] = "refuse"
    handle_days: Annotated[
        int,
        Meta(ge=0, le=30),
        Doc(
            zh="码到期后还保留多久是谁的码,供迟到的采样点合并归人",
            en="how long after its end it is known whose a code was, for stations that merge late",
            unit="d",
        ),
    ] = 3
    key_folder: Annotated[
        str,
        Doc(
            zh="保护个人信息的日密钥所在目录,不在备份中;空为数据目录下 code-keys",
            en="folder of the keys of days that seal what is kept of people, in no backup; empty = code-keys in DATA",
        ),
    ] = ""
    node_key_file: Annotated[
        str,
        Doc(
            zh="包裹日密钥的节点密钥文件,可放在另一介质;空为密钥目录下 node.key",
            en="file of the node's key that wraps the keys of days, best on another medium; empty = node.key",
            check=checks.file_or_none,
        ),
    ] = ""
    evidence_days: Annotated[
        int,
        Meta(ge=1, le=60),
        Doc(zh="码色所依据的信息保存多久", en="how long what colours rest on is kept", unit="d"),
    ] = 14
    person_days: Annotated[
        int,
        Meta(ge=1, le=366),
        Doc(zh="未使用多久后删除个人信息", en="how long a person is kept who is not heard of", unit="d"),
    ] = 30
    change_days: Annotated[
        int, Meta(ge=1, le=60), Doc(zh="人工改码的最长期限", en="longest term of a colour given by hand", unit="d")
    ] = 14
    change_wait_days: Annotated[
        int,
        Meta(ge=1, le=14),
        Doc(zh="改码申请多久无人批准即失效", en="after how long a request that nobody decides lapses", unit="d"),
    ] = 2
    suspect_person: Annotated[
        int,
        Meta(ge=1, le=10_000),
        Doc(
            zh="一人 24 小时内申请或批准多少次改码即立案核查",
            en="from how many requests or approvals of one person in 24 h on a case is opened",
        ),
    ] = 20
    suspect_agency: Annotated[
        int,
        Meta(ge=1, le=100_000),
        Doc(
            zh="一单位 24 小时内申请多少次改码即立案核查",
            en="from how many requests of one agency in 24 h on a case is opened",
        ),
    ] = 100
    suspect_reason: Annotated[
        int,
        Meta(ge=1, le=10_000),
        Doc(
            zh="24 小时内多少人用同一理由改码即立案核查",
            en="from how many people with one reason in 24 h on a case is opened",
        ),
    ] = 10
