"""The watcher: at every look it drains the ledger, gathers evidence, detects, keeps the book, and tells."""

from poolwatch.watcher.loop import Watcher

__all__ = ["Watcher"]
