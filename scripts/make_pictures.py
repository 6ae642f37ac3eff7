"""Make the pictures of README.md: the report of its first program in a terminal, and the page of the demo.

    python scripts/make_pictures.py

Needs Chromium. Both pictures show what the commands print and serve here and now; only the colours of the terminal
are chosen here.
"""

from __future__ import annotations

import html
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
CHROMIUM = (
    shutil.which("chromium") or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--hide-scrollbars", "--force-color-profile=srgb",
)  # fmt: skip
STYLES = {
    "1": "font-weight:bold", "2": "color:#8b949e", "32": "color:#7ee787", "1;31": "font-weight:bold;color:#ff7b72",
    "1;33": "font-weight:bold;color:#e3b341", "1;36": "font-weight:bold;color:#76e3ea",
}  # fmt: skip
FRAME = """<meta charset="utf-8"><style>body{{margin:0;background:#0d1117;color:#e6edf3;padding:16px}}
pre{{font:14px/19px "DejaVu Sans Mono",monospace;margin:0}}</style><pre>{}</pre>"""


def main() -> None:
    """Make both pictures."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        terminal(Path(folder))
        page(Path(folder))


def terminal(folder: Path) -> None:
    """Run the first program of README.md as it says, on a terminal, and draw what came."""
    program = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert program is not None
    (folder / "app.py").write_text(program[1])
    output = on_a_terminal(["poolwatch", "run", "--", "python", "app.py"], folder)
    text = "$ poolwatch run -- python app.py\n" + output
    drawn = folder / "report.html"
    drawn.write_text(FRAME.format(coloured(text)))
    shoot(drawn.as_uri(), "report.png", 900, 32 + 19 * len(text.splitlines()))


def on_a_terminal(command: list[str], folder: Path) -> str:
    """Run a command with a terminal of its own; gives what it wrote there."""
    ours, its = pty.openpty()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its):
        os.close(its)
        written = b""
        while chunk := _read(ours):
            written += chunk
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the last writer has closed it
        return b""


def coloured(text: str) -> str:
    """Give terminal output as HTML."""
    marked = re.sub(r"\x1b\[0m", "</span>", html.escape(text))
    return re.sub(r"\x1b\[([\d;]+)m", lambda code: f'<span style="{STYLES[code[1]]}">', marked)


def page(folder: Path) -> None:
    """Run the demo from a copy, whose path says nothing of this machine, and draw its page at the end."""
    shutil.copytree(ROOT / "agent" / "poolwatch", folder / "poolwatch", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.path.insert(0, '.'); from poolwatch.cli import main; main(['demo', '--stay', '60'])"
    demo = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(demo, cwd=folder, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = ""
        for line in running.stdout:
            if line.startswith("Page "):
                url = line.split()[1]
            if line.startswith("Serving for"):
                break
        wait_for(url)
        shoot(url, "page.png", 1280, 900)
        running.terminate()


def wait_for(url: str) -> None:
    """Wait until something is served at ``url``."""
    for _ in range(50):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)


def shoot(url: str, name: str, width: int, height: int) -> None:
    """Draw ``url`` into a picture of docs/pictures."""
    target = PICTURES / name
    size = ["--virtual-time-budget=3000", f"--window-size={width},{height}", f"--screenshot={target}"]
    subprocess.run([*CHROMIUM, *size, url], check=True, capture_output=True, timeout=60)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
