"""Makes the sample of a data folder that `test_upgrade.py` opens with every later version, and what was true of it.

Run by the version whose folder is wanted, from that version's checkout:

    PYTHONPATH=src:tests:tests/integration python tests/data/make_folder.py NAME

It starts a node there, lets it judge some dozens of calls of all sorts, stops it, and leaves NAME.tar.xz and NAME.json
beside itself. Every number is one of the invented ones that the tests use.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from nodes import IPV4, settings_text
from sip_clients import FORGED, HONEST, TcpPeer, UdpPeer

from e2e.processes import HUTONG, Process, free_port, hutong, running
from engines import ABROAD, COMPANY, HOME, NEIGHBOUR
from hutong.app.config import ServeConfig
from hutong.calls.explain import Verdicts, tell
from hutong.kernel import windows
from stages import put_stage

HERE = Path(__file__).resolve().parent
MEBIBYTE = 1 << 20
LISTED, ALLOWED = "13700001111", "4008000000"
ROAMER = "13900001234"
OWN_RULE = """\
id: own.one-callee
version: 3
title: {zh: 自有规则的样例, en: A sample of a rule of one's own}
when: caller.class == "mobile" and caller.attempts_10m > 8
action: warn
stage: warn
basis: 样例
runbook: https://rules.example/one-callee
samples:
  - {given: {caller: {class: mobile, attempts_10m: 9}}, fires: true}
  - {given: {caller: {class: mobile, attempts_10m: 8}}, fires: false}
"""
#: Left out of the sample: numbers of processes, and the live counters that each start begins anew.
NOT_KEPT = ("run", "board.bin", "board.json", "lists/lock.mdb", "roaming/lock.mdb")


def _fill(data: Path) -> None:
    (data / "rules").mkdir(parents=True)
    (data / "rules" / "own.yaml").write_text(OWN_RULE, encoding="utf-8")
    for words in (
        ["lists", "add", LISTED, "--reason", "reported twice", "--who", "Wang"],
        ["lists", "add", "0755*", "--reason", "a prefix", "--who", "Wang", "--role", "callee"],
        ["lists", "add", "02161230000-02161230009", "--reason", "a range", "--who", "Li", "--expires", "90d"],
        ["lists", "add", ALLOWED, "--list", "allow", "--reason", "a public service", "--who", "Li"],
        ["lists", "add", "13700002222", "--reason", "removed later", "--who", "Li"],
        ["lists", "remove", "13700002222", "--why", "mistaken", "--who", "Wang"],
        ["roaming", "add", ROAMER, "--until", "3650d", "--who", "hlr"],
    ):
        hutong(*words, "--data", str(data))
    put_stage(data, "calls.many-callees-in-a-minute", "block")
    put_stage(data, "calls.domestic-caller-from-abroad", "warn")


def _call(port: int) -> None:
    with UdpPeer((IPV4, port)) as udp, TcpPeer((IPV4, port)) as tcp:
        for peer in (udp, tcp):
            for caller, callee, source, extra in (
                (HONEST, "13900139000", NEIGHBOUR, ""),
                (FORGED, "13900139000", NEIGHBOUR, ""),
                (FORGED, "110", NEIGHBOUR, ""),
                (LISTED, "13900139001", NEIGHBOUR, ""),
                (ALLOWED, "13900139002", NEIGHBOUR, ""),
                (HONEST, "075512345678", HOME, ""),
                (ROAMER, "13900139000", ABROAD, ""),
                ("+8613812340000", "13900139000", ABROAD, ""),
                ("+447700900123", "13900139000", ABROAD, "Subject: through the full codec"),
                ("02161230005", "13900139003", COMPANY, ""),
                ("075512340000", "13900139003", COMPANY, ""),
                ("anonymous", "13900139000", ABROAD, ""),
                (HONEST, "13900139000", NEIGHBOUR, 'P-Asserted-Identity: "x" <sip:13812349999@192.0.2.99>'),
            ):
                peer.ask(peer.invite(caller, callee, source=source, extra=extra))
        for at in range(40):
            udp.ask(udp.invite("13800001111", f"1390000{at:04d}"))


def _known(data: Path, text: str) -> dict[str, object]:
    """What this version says of its folder."""
    verdicts = Verdicts(data)
    stories = [verdicts.explain(verdict) for verdict in verdicts.all()]
    keys = sorted({key for story in stories for key in (story.verdict.caller_key, story.verdict.callee_key) if key})
    now = max(story.verdict.time_ms for story in stories) // 1000
    file = windows.WindowFile(data / "windows.bin", MEBIBYTE)
    file.open()
    features = {}
    for key in keys:
        out = np.zeros(len(windows.WINDOW_FEATURES))
        windows.read_features(file.arrays, windows.find(file.arrays, key), now, out, 0)
        named = zip(windows.WINDOW_FEATURES, out.tolist(), strict=True)
        features[str(key)] = {name: value for name, value in named if value}
    committed, tracked = windows.committed_seq(file.arrays), windows.tracked(file.arrays)
    file.close()
    return {
        "settings": text,
        "told": {lang: ["\n".join(tell(story, lang)) for story in stories] for lang in ("zh", "en")},
        "lists": hutong("lists", "export", "-", "--data", str(data)),
        "roaming": hutong("roaming", "show", "--data", str(data)),
        "rules": hutong("rules", "list", "--lang", "en", "--data", str(data)),
        "windows": {"now": now, "committed": committed, "tracked": tracked, "features": features},
    }


def main() -> None:
    """Make the two files."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        data, config = Path(folder) / "data", Path(folder) / "hutong.toml"
        port, web, public = free_port(), free_port(), free_port()
        text = settings_text().replace("memory_mb = 16", "memory_mb = 1")
        more = f'\n[serve]\nlisten = "{IPV4}:{web}"\n'
        if "public_listen" in ServeConfig.__struct_fields__:
            more += f'public_listen = "{IPV4}:{public}"\n'
        listen = f'[sip]\nlisten = ["udp:{IPV4}:{port}", "tcp:{IPV4}:{port}"]'
        config.write_text(text.replace("[sip]", listen) + more, encoding="utf-8")
        _fill(data)
        node = Process("up", [*HUTONG, "up", "--data", str(data), "--config", str(config)], Path(folder))
        with running(node):
            node.launch()
            node.wait_until(lambda: b"all processes are ready" in node.log.read_bytes())
            _call(port)
            node.stop()
        known = _known(data, text)
        left_out = [f"--exclude=./{path}" for path in NOT_KEPT]
        packed = [*left_out, "--sparse", "--owner=0", "--group=0", "--numeric-owner", "--sort=name"]
        subprocess.run(["tar", *packed, "-cJf", str(HERE / f"{name}.tar.xz"), "-C", str(data), "."], check=True)
    (HERE / f"{name}.json").write_text(json.dumps(known, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
