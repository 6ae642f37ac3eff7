#!/usr/bin/env bash
# Run SQLAlchemy's own tests of pools, engines and sessions bare and under poolwatch; each outcome must be the same.
# Usage: tests/upstream/run.sh [VERSION...] (default: 2.1.9 and 2.0.58); TESTS and DATABASES leave some of it out.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-$here/../../.venv/bin/python}
work=$(mktemp -d)
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT  # KEEP=1 leaves the logs there
status=0

read -ra tests <<<"${TESTS:-test/engine test/base test/orm/test_session.py test/orm/test_transaction.py \
test/orm/test_bind.py test/orm/test_events.py test/ext/asyncio}"

pip() {
    "$python" -m pip --quiet --disable-pip-version-check "$@"
}

# The tests from the source distribution, the library as users have it: built, with its C parts.
unpack() {
    pip download --no-deps --no-binary sqlalchemy --no-build-isolation --dest "$work" "sqlalchemy==$1" &&
        tar -xzf "$work/sqlalchemy-$1.tar.gz" -C "$work" &&
        { is_here "$1" || pip install --target "$work/library-$1" "sqlalchemy[asyncio]==$1" aiosqlite; }
}

is_here() {
    [ "$("$python" -c 'import sqlalchemy; print(sqlalchemy.__version__)')" = "$1" ]
}

# -s: the tests' conftest then leaves the library alone that is found first.
run() { # VERSION DATABASE NAME PLUGIN-ARGUMENTS...
    local version=$1 database=$2 name=$2-$3
    shift 3
    POOLWATCH_UPSTREAM_OUTCOMES=$work/$name.json POOLWATCH_UPSTREAM_SEEN=$work/$name.seen \
        PYTHONPATH=$work/library-$version:$here${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 \
        "$python" -s -m pytest -q -p no:cacheprovider -p no:xdist -p no:timeout -p outcomes "$@" --maxfail=10000 \
        --db "$database" "${tests[@]}" >"$work/$name.log" 2>&1
}

[ $# -gt 0 ] || set -- 2.1.9 2.0.58
for version in "$@"; do
    unpack "$version" || { echo "cannot get SQLAlchemy $version" >&2; exit 3; }
    cd "$work/sqlalchemy-$version" || exit 1
    for database in ${DATABASES:-sqlite sqlite_file aiosqlite}; do
        echo "SQLAlchemy $version on $database:"
        run "$version" $database bare
        run "$version" $database watched -p watched
        "$python" "$here/compare.py" "$work/$database-"{bare.json,watched.json,watched.seen} || status=1
    done
done
exit $status
