# ruff: noqa: INP001  # a script, run by its path
"""Makes the pictures in docs/img from a demo that it starts itself. Needs Debian's chromium.

    .venv/bin/python docs/screenshots.py [SECONDS]

Every main page, in both languages; the live wall in the dark too. SECONDS: how long the demo runs before the pictures
are taken (90 unless given): charts, windows and stories need something to show.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

IMAGES = Path(__file__).resolve().parent / "img"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-lcd-text",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCALES = {"zh": "zh-CN", "en": "en-GB"}
WIDTH, HEIGHT = 1440, 1080
LARGEST = 400_000
_WARM_UP_S = 90
_DRAWN_MS = 2500  # charts are drawn, the stream has come


class Shot(NamedTuple):
    """A picture: its name, who sees the page, where it is, and links that lead on from there."""

    name: str
    role: str
    path: str
    links: tuple[str, ...] = ()
    scheme: str = "light"


SHOTS = (
    Shot("live", "operator", "/"),
    Shot("live-dark", "operator", "/", scheme="dark"),
    Shot("wall-dark", "viewer", "/?wall=1", scheme="dark"),
    Shot("cities", "operator", "/live/cities"),
    Shot("verdicts", "operator", "/verdicts?action=block"),
    Shot("call", "operator", "/verdicts?rule=calls.domestic-caller-from-abroad", ("a[href^='/calls/']",)),
    Shot("number", "operator", "/verdicts?rule=calls.many-callees-in-a-minute", ("a[href^='/numbers/']", ".ranges a")),
    Shot("lists", "operator", "/lists"),
    Shot("rules", "operator", "/rules"),
    Shot("rule", "operator", "/rules/calls.domestic-caller-from-abroad"),
    Shot("sampling", "operator", "/sampling"),
    Shot("map", "operator", "/sampling/map"),
    Shot("load", "operator", "/load"),
    Shot("trunks", "operator", "/trunks"),
    Shot("health", "operator", "/health"),
    Shot("settings", "operator", "/settings"),
    Shot("trail", "auditor", "/trail"),
    Shot("people", "administrator", "/people"),
    Shot("tokens", "operator", "/tokens"),
    Shot("signin", "", "/signin"),
)


def main() -> None:
    """Start the demo, wait, take the pictures, end the demo."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _WARM_UP_S
    command = (sys.executable, "-P", "-m", "hutong", "demo", "--port", "0")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603  # our own command
        try:
            console, password = _invitation(demo)
            time.sleep(seconds)
            IMAGES.mkdir(exist_ok=True)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for language in LOCALES:
                    take_all(browser, console, password, language)
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.communicate()


def _invitation(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """The console's address and everybody's password, as the demo says them."""
    console = ""
    for line in demo.stdout or ():
        if found := re.search(r"http://\S+", line):
            console = found[0].rstrip("/")
        if found := re.search(r"demo-\S+", line):
            return console, found[0]
    raise SystemExit("The demo did not start; run `hutong demo` to see why.")


def take_all(browser: Browser, console: str, password: str, language: str) -> None:
    """Every picture in one language; each person signs in once."""
    seats: dict[tuple[str, str], Page] = {}
    for shot in SHOTS:
        seat = (shot.role, shot.scheme)
        if seat not in seats:
            seats[seat] = _seat(browser, shot.scheme, language).new_page()
            if shot.role:
                _sign_in(seats[seat], console, shot.role, password)
        page = seats[seat]
        page.goto(console + shot.path)
        for link in shot.links:
            page.goto(urljoin(page.url, page.locator(f"main {link}").first.get_attribute("href")))
        _take(page, IMAGES / f"{shot.name}-{language}.png")
    for page in seats.values():
        page.context.close()


def _seat(browser: Browser, scheme: str, language: str) -> BrowserContext:
    return browser.new_context(
        locale=LOCALES[language],
        timezone_id="Asia/Shanghai",
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": WIDTH, "height": HEIGHT},
    )


def _sign_in(page: Page, console: str, role: str, password: str) -> None:
    page.goto(f"{console}/signin")
    page.locator("input[name=name]").fill(role)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/signin" not in url)


def _take(page: Page, path: Path) -> None:
    """A picture of the page as it opens on a desk's screen."""
    page.wait_for_timeout(_DRAWN_MS)
    page.screenshot(path=path)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes.")
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
