# ruff: noqa: INP001  # a script, run by its path
"""Makes docs/img/live-zh.png and live-en.png from a demo that it starts itself. Needs Debian's chromium.

    .venv/bin/python docs/screenshots.py [SECONDS]

SECONDS: how long the demo runs before the pictures are taken (60 unless given): the chart needs something to show.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parent / "img"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 1440, "height": 1080}
LARGEST = 300_000
_WARM_UP_S = 60


def main() -> None:
    """Start the demo, wait, take the pictures, end the demo."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _WARM_UP_S
    command = (sys.executable, "-P", "-m", "hutong", "demo", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603  # our own command
        try:
            page = _page_of(demo)
            time.sleep(seconds)
            IMAGES.mkdir(exist_ok=True)
            for language in ("zh", "en"):
                take(f"{page}?lang={language}", IMAGES / f"live-{language}.png")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()


def _page_of(demo: subprocess.Popen[str]) -> str:
    for line in demo.stdout or ():
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("The demo did not start; run `hutong demo` to see why.")


def take(url: str, path: Path) -> None:
    """A picture of the page as it opens on a desk's screen."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-lcd-text",
                "--disable-background-networking",
                "--no-first-run",
            ],
            viewport=SIZE,
            color_scheme="light",
        )
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#latest tbody tr")
        page.wait_for_selector("#chart canvas")
        page.wait_for_timeout(2500)
        page.screenshot(path=path)
        context.close()
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes.")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
