"""The service's own test: docs/tutorial.md lets poolwatch look on. SERVICE names the module, leaking or fixed."""

import asyncio
import importlib
import os

import httpx

service = importlib.import_module(os.environ.get("SERVICE", "fixed"))


async def get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(service.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
        return await client.get(path)


def test_a_stranger_has_ordered_nothing() -> None:
    assert asyncio.run(get("/orders/bob")).status_code == 404
