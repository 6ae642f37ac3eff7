"""A real Chromium, driven over its DevTools protocol as a person would: open, type, click, look."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.launcher import until

CHROMIUM = shutil.which("chromium") or "chromium"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1280,900",
)  # fmt: skip


class Tab:
    """One page of a browser."""

    def __init__(self, channel: ClientConnection) -> None:
        self._channel = channel
        self._numbers = count(1)

    def do(self, script: str) -> Any:
        """Run a line of JavaScript in the page; gives its value, None while the page is being loaded."""
        number = next(self._numbers)
        params = {"expression": script, "returnByValue": True}
        self._channel.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": params}))
        while (answer := json.loads(self._channel.recv(30))).get("id") != number:
            pass
        result = answer.get("result", {"result": {}})
        assert "exceptionDetails" not in result, answer
        return result["result"].get("value")

    def shows(self, text: str) -> None:
        """Wait until somebody who looks at the page sees ``text``."""
        until(lambda: text in (self.do("document.body?.innerText") or ""))

    def enter(self, field: str, text: str) -> None:
        """Type into a field and press its form's button."""
        self.do(f"document.getElementById({field!r}).value = {text!r}")
        self.do(f"document.getElementById({field!r}).form.querySelector('button').click()")


@contextmanager
def tab(folder: Path, url: str) -> Iterator[Tab]:
    """Open a browser with one page; ``folder`` is for what it keeps."""
    argv = [CHROMIUM, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={folder}", url]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_page(folder / "DevToolsActivePort"), max_size=None) as channel:
                yield Tab(channel)
        finally:
            process.kill()


def _page(said: Path) -> str:
    """Give the address of the first page, from the file in which the browser says where it listens."""
    until(lambda: said.exists() and "\n" in said.read_text())
    with urllib.request.urlopen(f"http://127.0.0.1:{said.read_text().split()[0]}/json/list", timeout=30) as answer:
        address: str = next(page["webSocketDebuggerUrl"] for page in json.load(answer) if page["type"] == "page")
    return address
