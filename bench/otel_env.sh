#!/bin/sh
# Makes .venv-otel: SQLAlchemy 2.0 with OpenTelemetry's instrumentation, which refuses SQLAlchemy 2.1.
# Usage: bench/otel_env.sh [PYTHON]; does nothing where the environment is there and complete.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv="$root/.venv-otel"
stamp="$venv/complete-$(cksum < "$0" | cut -d' ' -f1)"
[ -e "$stamp" ] && exit 0
rm -rf "$venv"
"${1:-${PYTHON:-python3}}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    'sqlalchemy[asyncio]>=2.0.50,<2.1' 'opentelemetry-instrumentation-sqlalchemy==0.66b1' opentelemetry-sdk \
    aiosqlite asyncpg 'psycopg[binary]' prometheus-client psutil
touch "$stamp"
