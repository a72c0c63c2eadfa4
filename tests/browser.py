"""Headless Chromium for page tests: what the page drew, and what it complained of."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="headless Chromium is not installed"),
]


@dataclass(frozen=True)
class Opened:
    """A page after its scripts ran: the document, and console lines that are errors."""

    dom: str
    errors: list[str]
    requests: list[str]


def open_page(path: Path, folder: Path) -> Opened:
    """Open a page from disk without a network and return what became of it."""
    assert CHROMIUM is not None
    log = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--use-gl=angle",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            # whatever the page asked for over a network would fail, and be seen
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            "--window-size=1200,1600",
            "--virtual-time-budget=15000",
            "--enable-logging=stderr",
            "--dump-dom",
            path.resolve().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    console = re.findall(r'CONSOLE:\d+\] "(.*?)", source', done.stderr)
    quiet = ("GL Driver Message",)
    errors = [line for line in console if not any(word in line for word in quiet)]
    seen = log.read_text(errors="replace") if log.exists() else ""
    requests = sorted(
        url
        for url in set(re.findall(r'"url":"(https?://[^"]+)"', seen))
        # what the browser asks its maker at start is not the page's doing
        if not re.match(r"https?://[\w.-]*(google|gstatic|googleapis|gvt1)\.", url)
    )
    return Opened(done.stdout, errors, requests)
