"""The fixed enumerations of a read number and the slots it is read into. Tables from data files are in `plan`.

The index of a string is its code: in `out`, in feature vectors and in compiled code. Add at the end, never
reorder.
"""

from __future__ import annotations

# Slots of the int64 array that `read_number` fills.
KEY = 0
KLASS = 1
COUNTRY = 2
OPERATOR = 3
AREA = 4
FORM = 5
FAULT = 6
NUMBER_FIELDS = 7

KLASSES = (
    "unknown",
    "mobile",
    "virtual",
    "satellite",
    "iot",
    "fixed",
    "national-service",
    "provincial-service",
    "freephone",
    "shared-cost",
    "operator-service",
    "emergency",
    "public",
    "foreign",
    "text",
)
KLASS_UNKNOWN = 0
KLASS_MOBILE = 1
KLASS_VIRTUAL = 2
KLASS_SATELLITE = 3
KLASS_IOT = 4
KLASS_FIXED = 5
KLASS_NATIONAL_SERVICE = 6
KLASS_PROVINCIAL_SERVICE = 7
KLASS_FREEPHONE = 8
KLASS_SHARED_COST = 9
KLASS_OPERATOR_SERVICE = 10
KLASS_EMERGENCY = 11
KLASS_PUBLIC = 12
KLASS_FOREIGN = 13
KLASS_TEXT = 14

FORMS = ("none", "international", "national", "bare", "local", "text")
FORM_NONE = 0
FORM_INTERNATIONAL = 1
FORM_NATIONAL = 2
FORM_BARE = 3
FORM_LOCAL = 4
FORM_TEXT = 5

FAULTS = ("none", "not-digits", "too-short", "too-long", "unallocated")
FAULT_NONE = 0
FAULT_NOT_DIGITS = 1
FAULT_TOO_SHORT = 2
FAULT_TOO_LONG = 3
FAULT_UNALLOCATED = 4

# What people read. Keys are (kind of enumeration, name).
LABELS: dict[tuple[str, str], dict[str, str]] = {
    ("class", "unknown"): {"zh": "未知", "en": "unknown"},
    ("class", "mobile"): {"zh": "手机", "en": "mobile"},
    ("class", "virtual"): {"zh": "虚拟运营商手机", "en": "virtual operator mobile"},
    ("class", "satellite"): {"zh": "卫星电话", "en": "satellite phone"},
    ("class", "iot"): {"zh": "物联网卡", "en": "IoT card"},
    ("class", "fixed"): {"zh": "固定电话", "en": "fixed line"},
    ("class", "national-service"): {"zh": "全国服务号码（95）", "en": "national service number (95)"},
    ("class", "provincial-service"): {"zh": "省内服务号码（96）", "en": "provincial service number (96)"},
    ("class", "freephone"): {"zh": "被叫付费号码（800）", "en": "freephone (800)"},
    ("class", "shared-cost"): {"zh": "主被叫分摊号码（400）", "en": "shared-cost number (400)"},
    ("class", "operator-service"): {"zh": "运营商客服号码", "en": "operator service number"},
    ("class", "emergency"): {"zh": "紧急号码", "en": "emergency number"},
    ("class", "public"): {"zh": "公益服务热线", "en": "public line"},
    ("class", "foreign"): {"zh": "境外号码", "en": "number of another country or region"},
    ("class", "text"): {"zh": "非电话号码", "en": "not a telephone number"},
    ("form", "none"): {"zh": "无", "en": "none"},
    ("form", "international"): {"zh": "国际格式", "en": "international"},
    ("form", "national"): {"zh": "国内格式", "en": "national"},
    ("form", "bare"): {"zh": "缺国际前缀", "en": "country code without + or 00"},
    ("form", "local"): {"zh": "本地格式", "en": "local"},
    ("form", "text"): {"zh": "文本", "en": "text"},
    ("fault", "none"): {"zh": "正常", "en": "none"},
    ("fault", "not-digits"): {"zh": "含非数字字符", "en": "not digits"},
    ("fault", "too-short"): {"zh": "位数不足", "en": "too short"},
    ("fault", "too-long"): {"zh": "位数过长", "en": "too long"},
    ("fault", "unallocated"): {"zh": "空号段", "en": "not allocated"},
}
