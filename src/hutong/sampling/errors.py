"""What may be wrong with a tube, a sample, a batch, a result or a station's store."""

from __future__ import annotations

from typing import Final, Literal, get_args

from hutong.kernel.errors import HutongError, Refused

Reason = Literal[
    "field",
    "identity",
    "size",
    "no-tube",
    "full",
    "size-differs",
    "person-twice",
    "person-elsewhere",
    "not-from-here",
    "at-another-station",
    "not-mixed",
    "date",
    "id-twice",
    "not-yours",
    "too-old",
    "busy",
    "pairing",
    "not-allowed",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
#: What a refusal is called where people read it.
REASON_TITLES: Final[dict[Reason, dict[str, str]]] = {
    "field": {"zh": "填写有误", "en": "something is not as it must be"},
    "identity": {"zh": "证件号或码有误", "en": "the number or code is wrong"},
    "size": {"zh": "现不使用这种规格的试管", "en": "tubes of this size are not used now"},
    "no-tube": {"zh": "没有这支试管", "en": "there is no such tube"},
    "full": {"zh": "试管已满", "en": "the tube is full"},
    "size-differs": {"zh": "与此管规格不同", "en": "the tube is of another size"},
    "person-twice": {"zh": "此人已在管中", "en": "the person is in the tube already"},
    "person-elsewhere": {"zh": "此人今日已在另一管", "en": "the person is in another tube of today"},
    "not-from-here": {"zh": "此时不能这样做", "en": "not possible as it stands"},
    "at-another-station": {"zh": "另有采样点使用此条码", "en": "another station uses the barcode"},
    "not-mixed": {"zh": "无须召回复核", "en": "nobody is to be recalled"},
    "date": {"zh": "时间有误", "en": "the time is wrong"},
    "id-twice": {"zh": "同一编号内容不同", "en": "one id with two contents"},
    "not-yours": {"zh": "是别的采样点的事件", "en": "the event is another station's"},
    "too-old": {"zh": "已超过保留期限", "en": "older than events are kept"},
    "busy": {"zh": "系统繁忙,请稍后再送", "en": "busy: send it again in a moment"},
    "pairing": {"zh": "配对码有误、过期或已用过", "en": "the pairing code is wrong, over or used"},
    "not-allowed": {"zh": "没有此权限", "en": "the permission is lacking"},
}


class SamplingError(HutongError):
    """A tube, a file of results, a station's store or a table of rules is not as it must be."""


class SamplingRefused(SamplingError, Refused[Reason]):  # noqa: N818  # says what happened
    """What cannot be done with a tube as it is; nothing was changed."""
