"""Links between the pages lead somewhere."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "dashboards" / "README.md"])
LARGEST = 150 * 1024
"""Bytes of a picture."""


def _links(page: Path) -> list[str]:
    prose = re.sub(r"^```.*?^```$|`[^`\n]+`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link]


def _anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    """Each relative link names a file of this repository and, after ``#``, a heading in it."""
    assert [link for link in _links(page) if not _leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_pages_speak_of_can_be_called(page: Path) -> None:
    """Each function and class of poolwatch that a page names in its text is there by that name."""
    quoted = re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
    named = {name for text in quoted for name in re.findall(r"\bpoolwatch(?:\.\w+)*\.(?:[A-Z]\w*|\w+(?=\())", text)}
    assert [name for name in sorted(named) if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_the_index_names_every_page() -> None:
    """docs/README.md leads to every page of docs/ but the single runbooks, which have an index of their own."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}
    pages = [page for page in PAGES if page.is_relative_to(index.parent) and page.parent.name != "runbooks"]
    assert [page.name for page in pages if page not in linked | {index}] == []
    runbooks = ROOT / "docs" / "runbooks" / "README.md"
    listed = {(runbooks.parent / link).resolve() for link in _links(runbooks)}
    assert [page.name for page in runbooks.parent.glob("*.md") if page not in listed | {runbooks}] == []


def test_pictures_are_small_and_shown() -> None:
    """Each picture is shown somewhere, and light enough to be loaded by everybody."""
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    shown = {(page.parent / link).resolve() for page in PAGES for link in _links(page)}
    assert [picture.name for picture in pictures if picture.stat().st_size > LARGEST or picture not in shown] == []


def test_the_house_is_not_named() -> None:
    """No page speaks of the machine it was written on."""
    private = re.compile(r"/root/|/home/\w+/")
    assert [page.name for page in PAGES if private.search(page.read_text("utf-8"))] == []
