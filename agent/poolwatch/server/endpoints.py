"""What is served where."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files

from poolwatch.export.exposition import CONTENT_TYPE, OPENMETRICS, encode, encode_openmetrics, wants_openmetrics
from poolwatch.export.numbers import MAX_SITES, SiteChoice
from poolwatch.model import Json
from poolwatch.server.http import Response, Table


class Endpoints:
    """The endpoints of one server; each reads the report when it is asked."""

    def __init__(self, read_report: Callable[[], Json], read_metrics: Callable[[], Json]) -> None:
        self._read_report = read_report
        self._read_metrics = read_metrics
        self._sites = SiteChoice(MAX_SITES)
        self.table: Table = {
            "/": lambda _: page(),
            "/metrics": lambda accept: _guarded(lambda: self._metrics(accept)),
            "/report.json": lambda _: _guarded(self._report),
            "/healthz": lambda _: Response(b"ok\n"),
        }

    def _metrics(self, accept: str) -> Response:
        report = self._read_metrics()
        if wants_openmetrics(accept):
            return Response(encode_openmetrics(report, self._sites), OPENMETRICS)
        return Response(encode(report, self._sites), CONTENT_TYPE)

    def _report(self) -> Response:
        return Response(json.dumps(self._read_report()).encode(), "application/json")


def _guarded(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except Exception as error:  # whatever the report's reader raises, the scraper gets an answer
        return Response(f"no report: {type(error).__name__}\n".encode(), status=503)


@cache
def page() -> Response:
    """Give the page, with its style and script inside and a policy that allows these two and nothing else."""
    folder = files("poolwatch").joinpath("web")
    html, style, script = (folder.joinpath(f"page.{part}").read_text("utf-8") for part in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    body = html.replace("{{style}}", style).replace("{{script}}", script)
    return Response(body.encode(), "text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
