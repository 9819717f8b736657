"""Each fuzzer, for a fixed number of runs. Longer: start the fuzzer itself (see its first line)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed on this machine"
)

#: Bytes.
_ADDRESS_SPACE = 4 << 30


@needs_atheris
@pytest.mark.parametrize("target", ["fuzz_sip.py", "fuzz_hep.py", "fuzz_cose.py"])
def test_a_bounded_run_finds_nothing(target: str, tmp_path: Path) -> None:
    command = [
        # libFuzzer takes the peak of the process that started it for its own, so the system bounds memory instead.
        "prlimit",
        f"--as={_ADDRESS_SPACE}",
        sys.executable,
        str(Path(__file__).with_name(target)),
        str(tmp_path / "corpus"),
        "-runs=20000",
        "-seed=1",
        "-max_len=2048",
        "-rss_limit_mb=0",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done 20000 runs" in done.stderr
