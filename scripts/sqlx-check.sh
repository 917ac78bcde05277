#!/bin/sh
# Checks that .sqlx describes the queries as they are (or writes it, with --write).
#
# Starts a private Postgres from the installed programs, applies migrations/ to it and lets the checked macros
# describe every query against it. Leaves nothing behind.
set -eu

cd "$(dirname "$0")/.."
write=false
[ "${1:-}" = "--write" ] && write=true

bin=
for folder in "$(command -v initdb 2>/dev/null | xargs -r dirname)" "$(pg_config --bindir 2>/dev/null)" \
    $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn) \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/pgsql-*/bin; do
    if [ -n "$folder" ] && [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then bin=$folder; break; fi
done
[ -n "$bin" ] || { echo "no Postgres server programs found: install postgresql" >&2; exit 1; }

psql=$(command -v psql || echo "$bin/psql")

work=$(mktemp -d "${TMPDIR:-/tmp}/baton-sqlx.XXXXXX")
server=
finish() {
    [ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# initdb and postgres refuse to be root.
if [ "$(id -u)" = 0 ]; then
    chown 65534:65534 "$work"
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
else
    as=
fi
mkdir "$work/queries"
$as "$bin/initdb" -D "$work/data" --no-sync -A trust -E UTF8 -U baton >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
$as "$bin/postgres" -D "$work/data" -k "$work" -c listen_addresses= -c fsync=off >>"$work/log" 2>&1 &
server=$!
tries=0
until "$psql" -h "$work" -U baton -d postgres -qc 'SELECT 1' >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { cat "$work/log"; exit 1; }
    sleep 0.1
done
for migration in migrations/*.sql; do
    "$psql" -h "$work" -U baton -d postgres -q -v ON_ERROR_STOP=1 -1 -f "$migration"
done

# The macros run again only for sources that look changed.
grep -rlE 'sqlx::(query|query_as|query_scalar)!|query(_as|_scalar)?!\(' src tests benches 2>/dev/null \
    | while read -r source; do touch "$source"; done
touch src/lib.rs
socket=$(printf %s "$work" | sed 's|/|%2F|g')
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/queries" DATABASE_URL="postgres://baton@$socket/postgres" \
    cargo check -p baton ${SQLX_CHECK_TARGETS:---all-targets} || exit 1

if $write; then
    rm -rf .sqlx && mkdir .sqlx && cp "$work"/queries/*.json .sqlx/
    echo "$(ls .sqlx | wc -l) queries written to .sqlx"
elif ! diff -rq "$work/queries" .sqlx; then
    echo "the queries in .sqlx are not those of the sources: run scripts/sqlx-check.sh --write" >&2
    exit 1
fi
