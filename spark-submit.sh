#!/usr/bin/env bash
# Hands one job to spark-submit, with the package packed for the executors.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
VENV="$ROOT/.venv"

usage() {
    cat <<'USAGE'
Usage: ./spark-submit.sh JOB --conf FILE [option of the job]... [-- any spark-submit option]

Options of jobs: --as-of DATE, of run also --from DATE --to DATE; of maintain --dry-run;
of all --result-file FILE, --verbose, and but for generate --set a.b=value.

JOB is one of:
USAGE
    jobs | fold -s -w 74 | sed 's/^/  /; s/ *$//'
    cat <<'USAGE'

Examples:
  ./spark-submit.sh run --conf conf/mine.yml --as-of 2011-12-09 -- --master spark://host:7077
  ./spark-submit.sh run --conf conf/mine.yml --as-of 2011-12-09 -- --master yarn \
      --deploy-mode cluster --archives env.tar.gz#env --conf spark.pyspark.python=./env/bin/python

Environment:
  SPARK_HOME        the Spark whose spark-submit is used; else the one in .venv, else on PATH
  CLV_SPARK_DELTA   provided: the cluster brings Delta, add no package;
                    or Maven coordinates; by default those of the installed delta-spark
  PYSPARK_PYTHON    Python of driver and executors; by default the one in .venv (client mode)

Exit code: the job's own (see the README) in client mode, success or failure in cluster mode;
2 when the command line is wrong.
USAGE
}

jobs() {
    local path names=()
    for path in "$ROOT"/jobs/*.py; do
        path="$(basename "$path" .py)"
        names+=("${path//_/-}")
    done
    echo "${names[*]}"
}

wrong() {
    printf 'spark-submit.sh: %s\n' "$*" >&2
    exit 2
}

# --- The command line: ours before "--", spark-submit's after it.

[ $# -gt 0 ] || { usage >&2; exit 2; }
case "$1" in -h | --help) usage; exit 0 ;; esac
job="$1"
shift
script="$ROOT/jobs/${job//-/_}.py"
[[ "$job" =~ ^[a-z][a-z_-]*$ ]] && [ -f "$script" ] ||
    wrong "unknown job '$job'. Give one of: $(jobs)"

conf="" job_args=() options=()
while [ $# -gt 0 ]; do
    case "$1" in
        --)
            shift
            options=("$@")
            break
            ;;
        -h | --help) usage; exit 0 ;;
        --conf)
            [ $# -gt 1 ] || wrong "--conf needs a file"
            conf="$2"
            shift
            ;;
        --conf=*) conf="${1#--conf=}" ;;
        *) job_args+=("$1") ;;
    esac
    shift
done

if [ -n "$conf" ]; then
    [ -f "$conf" ] || wrong "--conf $conf: no such file. Spark's own --conf k=v goes after --"
elif [ "$job" != doctor ] && [ "$job" != generate ]; then
    wrong "--conf FILE is missing, for instance --conf conf/prod.yml"
fi

# --- spark-submit's lists take the last value only, so what we add is joined with what was given.

files="" py_files="" packages="" excludes="" cluster=false kept=()
add() { printf -v "$1" '%s' "${!1:+${!1},}$2"; }
set -- ${options[@]+"${options[@]}"}
while [ $# -gt 0 ]; do
    name="$1" value=""
    case "$1" in
        --files=* | --py-files=* | --packages=* | --exclude-packages=* | --deploy-mode=*)
            name="${1%%=*}" value="${1#*=}" ;;
        --files | --py-files | --packages | --exclude-packages | --deploy-mode)
            [ $# -gt 1 ] || wrong "$1 needs a value"
            value="$2"
            shift ;;
    esac
    case "$name" in
        --files) add files "$value" ;;
        --py-files) add py_files "$value" ;;
        --packages) add packages "$value" ;;
        --exclude-packages) add excludes "$value" ;;
        --deploy-mode)
            [ "$value" != cluster ] || cluster=true
            kept+=(--deploy-mode "$value") ;;
        *)
            [ "${name#--conf=}" != "spark.submit.deployMode=cluster" ] || cluster=true
            kept+=("$name") ;;
    esac
    shift
done

if [ "$cluster" = true ]; then
    ours="${!CLV_SPARK__*}"
    [ -z "$ours" ] || wrong "in cluster mode the driver does not see this environment: $ours. Put these settings into the --conf file, or pass them with --set a.b=value"
fi

# --- Which Spark, which Python, which Java.

python="$VENV/bin/python"
[ -x "$python" ] || python="$(command -v python3 || true)"
[ -n "$python" ] || wrong "no Python found to pack the job with. Run make setup, or install python3"

if [ -n "${SPARK_HOME:-}" ]; then
    submit="$SPARK_HOME/bin/spark-submit"
    [ -x "$submit" ] || wrong "SPARK_HOME is $SPARK_HOME, but $submit is not there. Correct or unset it"
elif home="$([ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c \
    'import importlib.util as u; print(u.find_spec("pyspark").submodule_search_locations[0])' 2>/dev/null)"; then
    export SPARK_HOME="$home"
    submit="$SPARK_HOME/bin/spark-submit"
    # The Java that make setup found to work; the first on PATH may be another version.
    if [ -f "$VENV/clv_env" ]; then source "$VENV/clv_env"; fi
elif submit="$(command -v spark-submit)"; then
    :
else
    wrong "no spark-submit found. Run make setup, or set SPARK_HOME to a Spark 4.0 or 4.1"
fi

# In cluster mode the driver runs elsewhere, where this path means nothing.
if [ "$cluster" = false ] && [ -x "$VENV/bin/python" ]; then
    export PYSPARK_PYTHON="${PYSPARK_PYTHON:-$VENV/bin/python}"
fi

spark_version() {
    local jar
    for jar in "${SPARK_HOME:-}"/jars/spark-core_*.jar; do
        if [ -f "$jar" ]; then
            jar="${jar##*-}"
            echo "${jar%.jar}"
            return 0
        fi
    done
    "$submit" --version 2>&1 | sed -n 's/.* version \([0-9][0-9.]*\).*/\1/p' | head -n 1
}

delta="${CLV_SPARK_DELTA:-}"
if [ -z "$delta" ]; then
    delta="$("$python" "$ROOT/scripts/pack.py" delta "$(spark_version)")" ||
        wrong "the Delta package to add is unknown, as delta-spark is not installed here. Set CLV_SPARK_DELTA=provided when the cluster brings Delta, or CLV_SPARK_DELTA=io.delta:delta-spark_4.1_2.13:VERSION"
    add excludes "${delta#* }"
    delta="${delta%% *}"
fi
[ "$delta" = provided ] || add packages "$delta"

# --- Pack, and run.

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" "$ROOT/scripts/pack.py" zip "$work/clv_spark.zip"
add py_files "$work/clv_spark.zip"

if [ -n "$conf" ]; then
    if [ "$cluster" = true ]; then
        # The driver finds shipped files in its working folder, by their bare names.
        add files "$conf"
        base="$(dirname "$conf")/base.yml"
        if [ -f "$base" ] && [ "$(basename "$conf")" != base.yml ]; then add files "$base"; fi
        conf="$(basename "$conf")"
    fi
    job_args=(--conf "$conf" ${job_args[@]+"${job_args[@]}"})
fi

command=("$submit" ${kept[@]+"${kept[@]}"} --py-files "$py_files")
[ -z "$files" ] || command+=(--files "$files")
[ -z "$packages" ] || command+=(--packages "$packages")
[ -z "$excludes" ] || command+=(--exclude-packages "$excludes")
command+=("$script" ${job_args[@]+"${job_args[@]}"})

# Not exec: the temporary folder must outlive the job. Signals are handed on, so that a scheduler
# that ends this script ends the job.
"${command[@]}" <&0 &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true' INT TERM HUP
status=0
wait "$child" || status=$?
while kill -0 "$child" 2>/dev/null; do
    status=0
    wait "$child" || status=$?
done
exit "$status"
