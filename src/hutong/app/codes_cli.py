"""`hutong codes`: its commands, each named by import string: one pays only for the modules that it needs."""

from __future__ import annotations

from cyclopts import App

app = App(name="codes", help="一码通:密钥、签发、核验、符合性 / Codes: keys, issuing, verifying, conformance")
COMMANDS = (
    ("keys", "hutong.app.codes_keys_cli:app", "签名密钥与密钥表 / Signing keys, and the key set"),
    ("issue", "hutong.app.codes_issue_cli:issue", "签发一批码 / Issue a bundle"),
    ("revoke", "hutong.app.codes_issue_cli:revoke", "注销 / Revoke"),
    ("revocations", "hutong.app.codes_issue_cli:revocations", "导出注销表 / Export the revocation list"),
    ("verify", "hutong.app.codes_verify_cli:verify_command", "离线核验 / Verify codes offline"),
    ("serve", "hutong.app.codes_serve:serve", "公众服务进程 / The process of the public pages"),
    ("status", "hutong.app.codes_status_cli:app", "码色:查看、解释、改码、申诉 / Colours: explain, change, appeal"),
    ("family", "hutong.app.codes_family_cli:app", "代亮码 / Who shows the code of a child or an elder"),
    ("holders", "hutong.app.codes_holders_cli:app", "运营商:机主散列文件 / Operators: whose numbers are, as hashes"),
    ("venues", "hutong.app.venues_cli:app", "场所:登记、换码、停用、印码 / Venues and their codes"),
    ("scans", "hutong.app.scans_cli:app", "扫码登记:设备、合并、依令查询、告知 / Scans: devices, merging, look-ups"),
    ("people-key", "hutong.app.people_key_cli:people_key", "人员密钥是否在位 / Whether people's keys are in place"),
    (
        "conformance",
        "hutong.app.codes_conformance:conformance",
        "评判欧盟数字新冠证书用例 / Judge the EU Digital COVID Certificate's test cases",
    ),
)
for _name, _target, _text in COMMANDS:
    app.command(_target, name=_name, help=_text)
