#!/usr/bin/env bash
# Makes .venv with the pinned packages, a Java that Spark runs on, and the Delta JARs.
# Safe to run again: when nothing changed it ends within a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV="$PWD/.venv"
LOG="$VENV/setup.log"
TICKER=""

say() { printf 'setup: %s\n' "$*"; }
# stderr, and one line: that is what remains visible at the end of a long log.
stop() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

stop_ticker() {
    # KILL, and forgotten below: after a command that ends at once bash would now and then complain
    # that it knows no such process, or say that it was killed.
    [ -z "$TICKER" ] || kill -KILL "$TICKER" 2>/dev/null || true
    TICKER=""
}
trap stop_ticker EXIT

# Runs a command with a time limit, its output in the log and a sign of life every 20 seconds.
logged() {
    local seconds="$1" status=0
    shift
    (
        waited=0
        while sleep 20 >/dev/null 2>&1; do
            waited=$((waited + 20))
            say "      ... still working, $waited s"
        done
    ) &
    TICKER=$!
    disown "$TICKER"
    printf '\n+ %s\n' "$*" >>"$LOG"
    # --foreground keeps Ctrl-C working; macOS has no timeout command.
    if command -v timeout >/dev/null; then
        timeout --foreground -k 10 "$seconds" "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    else
        "$@" >>"$LOG" 2>&1 </dev/null || status=$?
    fi
    stop_ticker
    return "$status"
}

# The end of the log, then the one line that says what to do.
stop_with_log() {
    tail -n 15 "$LOG" >&2
    stop "$* The whole log is in .venv/setup.log."
}

source scripts/java.sh

# Everything that setup depends on; a change of any of it makes setup run again.
key() {
    printf '%s|%s|%s|' "$PWD" "${JAVA_HOME:-}" "$("$VENV/bin/python" -V 2>&1)"
    cat setup.py constraints.txt clv_spark/__init__.py scripts/*.sh scripts/*.py | cksum
}

up_to_date() {
    [ -x "$VENV/bin/python" ] && [ -f "$VENV/clv_setup.key" ] && [ -f "$VENV/clv_env" ] &&
        [ -f "$VENV/clv_delta_jar" ] && [ -f "$(cat "$VENV/clv_delta_jar")" ] &&
        [ "$(key)" = "$(cat "$VENV/clv_setup.key")" ] &&
        (source "$VENV/clv_env" && [ -x "$JAVA_HOME/bin/java" ])
}

find_python() {
    local candidate version found=""
    for candidate in python3.11 python3 python; do
        # A version manager leaves commands on PATH that only print an error: ask each one.
        version="$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" ||
            continue
        if [ "$version" = 3.11 ]; then
            PYTHON="$candidate"
            return 0
        fi
        found="${found:+$found, }$candidate is $version"
    done
    stop "Python 3.11 is needed and was not found (${found:-no python3 on PATH}). $(python_advice)"
}

python_advice() {
    if command -v apt-get >/dev/null; then
        echo "Install python3.11 and python3.11-venv with apt-get, or Python 3.11 from https://www.python.org, then run make setup again."
    else
        echo "Install Python 3.11 (package python3.11, on macOS python@3.11, or from https://www.python.org), then run make setup again."
    fi
}

make_venv() {
    if [ -x "$VENV/bin/python" ] &&
        "$VENV/bin/python" -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        return 0
    fi
    # Debian splits ensurepip off: without it venv fails half way and leaves a broken folder.
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$PYTHON lacks the module venv. Install the package python3.11-venv, then run make setup again."
    "$PYTHON" -m venv --clear "$VENV" ||
        stop "$PYTHON -m venv .venv failed. Check the free disk space and the rights on this folder."
}

install_packages() {
    logged 1800 "$VENV/bin/python" -m pip install -e '.[local,test,bench]' -c constraints.txt ||
        stop_with_log "The Python packages could not be installed (is the package index reachable?)."
}

resolve_delta() {
    local status=0
    rm -rf "$VENV/clv_delta_jar" "$VENV/clv_classes.jsa" "$VENV/tmp"
    mkdir "$VENV/tmp"
    TMPDIR="$VENV/tmp" logged 600 \
        "$VENV/bin/python" scripts/resolve_jars.py "$VENV/clv_delta_jar" "$VENV/clv_classes.jsa" || status=$?
    # Java's own words, with the download of the JARs, are in the session's log.
    cat "$VENV"/tmp/*-spark.log >>"$LOG" 2>/dev/null || true
    rm -rf "$VENV/tmp"
    [ "$status" = 0 ] ||
        stop_with_log "Spark did not start with the Delta JARs (is Maven Central reachable?)."
}

if up_to_date; then
    say "up to date"
    exit 0
fi

find_python
say "[1/4] Python 3.11 ($PYTHON) and .venv"
make_venv
: >"$LOG"

say "[2/4] Java 17 or 21"
ensure_java
say "      using Java $JAVA_MAJOR in $JAVA_FOUND"
# Sourced by the Makefile and spark-submit.sh, so that all of them start the same Java.
# A quote in the path ends the text, stands for itself, and begins it again.
printf "export JAVA_HOME='%s'\n" "$(sed "s/'/'\\\\''/g" <<<"$JAVA_FOUND")" >"$VENV/clv_env"

say "[3/4] Python packages as pinned in constraints.txt (about 2 minutes the first time)"
install_packages

say "[4/4] Delta JARs, fetched once into the Ivy cache, then a Delta table written and read, its Java classes kept"
JAVA_HOME="$JAVA_FOUND" resolve_delta

key >"$VENV/clv_setup.key"
say "done. Next: make demo, make test, or .venv/bin/clv-spark --help"
