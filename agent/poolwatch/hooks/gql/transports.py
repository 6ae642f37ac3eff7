"""The classes of transports: their methods are wrapped where they are defined, each class once."""

from __future__ import annotations

import inspect
from typing import Any

from gql.transport.async_transport import AsyncTransport
from gql.transport.local_schema import LocalSchemaTransport
from gql.transport.transport import Transport

from poolwatch.hooks.gql import lines, moments
from poolwatch.hooks.patch import patch
from poolwatch.host.guard import Guard

_ABSTRACT = (Transport, AsyncTransport)
_MOMENTS: dict[str, type[moments.Moment]] = {
    "connect": moments.Opening,
    "close": moments.Closing,
    "execute": moments.Using,
    "execute_batch": moments.Using,
}
_guard: Guard
_wrapped: set[type] = set()


def install(guard: Guard) -> None:
    """Begin with no class wrapped."""
    global _guard
    _guard = guard
    _wrapped.clear()


def see(transport: Any) -> None:
    """Wrap what the classes of a transport define themselves; a local schema has no connection."""
    try:
        if isinstance(transport, _ABSTRACT) and not isinstance(transport, LocalSchemaTransport):
            for cls in type(transport).__mro__:
                if cls not in _wrapped and cls not in _ABSTRACT:
                    _wrapped.add(cls)
                    _wrap(cls)
    except Exception as error:
        _guard.failed(lines.HOOK, error)


def _wrap(cls: type) -> None:
    for name in _MOMENTS:
        method = vars(cls).get(name)
        if inspect.iscoroutinefunction(method):
            patch(_guard, lines.HOOK, cls, name, _async(method, cls, name))
        elif inspect.isfunction(method):
            patch(_guard, lines.HOOK, cls, name, _sync(method, cls, name))
    if inspect.isfunction(vars(cls).get("subscribe")):
        patch(_guard, lines.HOOK, cls, "subscribe", _streaming(vars(cls)["subscribe"], cls))


def _sync(original: Any, cls: type, name: str) -> Any:
    moment = _MOMENTS[name]

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with moment(self, args, cls, name):
            return original(self, *args, **kwargs)

    return method


def _async(original: Any, cls: type, name: str) -> Any:
    moment = _MOMENTS[name]

    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with moment(self, args, cls, name):
            return await original(self, *args, **kwargs)

    return method


def _streaming(original: Any, cls: type) -> Any:
    """Leave the stream itself as it is: a wrapped generator would be closed at another moment."""

    def subscribe(self: Any, *args: Any, **kwargs: Any) -> Any:
        with moments.Using(self, args, cls, "subscribe"):
            stream = original(self, *args, **kwargs)
        lines.follow(self, stream)
        return stream

    return subscribe
