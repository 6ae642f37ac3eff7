"""The same, but what was opened while the application was loaded is closed before the workers are forked."""

from __future__ import annotations

from web_flask_preload import app, engine, serve  # noqa: F401 -- gunicorn looks for app here

engine.dispose()

if __name__ == "__main__":
    serve("web_flask_preload_clean")
    print("done")
