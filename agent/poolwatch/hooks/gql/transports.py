"""The classes of transports: their methods are wrapped where they are defined, each class once."""

from __future__ import annotations

import inspect
from typing import Any

from gql.transport.async_transport import AsyncTransport
from gql.transport.local_schema import LocalSchemaTransport
from gql.transport.transport import Transport

from poolwatch.guard import Guard
from poolwatch.hooks.gql import lines
from poolwatch.hooks.patch import patch

_ABSTRACT = (Transport, AsyncTransport)
_MOMENTS = {"connect": lines.Opening, "close": lines.Closing, "execute": lines.Using, "execute_batch": lines.Using}
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
    for name, moment in _MOMENTS.items():
        method = vars(cls).get(name)
        if inspect.iscoroutinefunction(method):
            patch(_guard, lines.HOOK, cls, name, _async(method, moment))
        elif inspect.isfunction(method):
            patch(_guard, lines.HOOK, cls, name, _sync(method, moment))
    if inspect.isfunction(vars(cls).get("subscribe")):
        patch(_guard, lines.HOOK, cls, "subscribe", _streaming(vars(cls)["subscribe"]))


def _sync(original: Any, moment: type[lines.Moment]) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with moment(self, args):
            return original(self, *args, **kwargs)

    return method


def _async(original: Any, moment: type[lines.Moment]) -> Any:
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with moment(self, args):
            return await original(self, *args, **kwargs)

    return method


def _streaming(original: Any) -> Any:
    """Leave the stream itself as it is: a wrapped generator would be closed at another moment."""

    def subscribe(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lines.Using(self, args):
            stream = original(self, *args, **kwargs)
        lines.follow(self, stream)
        return stream

    return subscribe
