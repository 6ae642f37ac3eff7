"""The service's own test: docs/tutorial.md lets poolwatch look on. SERVICE names the module, leaking or fixed."""

import importlib
import os

from fastapi.testclient import TestClient

service = importlib.import_module(os.environ.get("SERVICE", "fixed"))


def test_a_stranger_has_ordered_nothing() -> None:
    answer = TestClient(service.app).get("/orders/bob")
    assert answer.status_code == 404
