# Finds the Java that everything here uses; sourced by setup.sh.
# Spark 4 runs on Java 17 and 21. Other versions are often first on PATH, so we look further.

JVM_FOLDERS="${JVM_FOLDERS:-/usr/lib/jvm /Library/Java/JavaVirtualMachines}"

# Prints "HOME MAJOR" of a java executable, or fails when it does not run.
java_facts() {
    local text home major
    text="$("$1" -XshowSettings:properties -version 2>&1 </dev/null)" || return 1
    home="$(sed -n 's/^ *java\.home = //p' <<<"$text")"
    major="$(sed -n 's/^ *java\.specification\.version = \(1\.\)\{0,1\}//p' <<<"$text")"
    [ -n "$home" ] && [ -n "$major" ] && printf '%s\t%s\n' "$home" "$major"
}

# Sets JAVA_FOUND and JAVA_MAJOR when this java is a 17 or 21; remembers what else it met.
accept_java() {
    local facts
    [ -x "$1" ] || return 1
    facts="$(java_facts "$1")" || return 1
    JAVA_MAJOR="${facts##*$'\t'}"
    case "$JAVA_MAJOR" in
        17 | 21) JAVA_FOUND="${facts%$'\t'*}" ;;
        *)
            JAVA_SEEN="${JAVA_SEEN:+$JAVA_SEEN, }Java $JAVA_MAJOR in ${facts%$'\t'*}"
            return 1
            ;;
    esac
}

# Looks in JAVA_HOME, on PATH, then in the usual folders and in the environment's own.
find_java() {
    local on_path folder java
    JAVA_FOUND="" JAVA_MAJOR="" JAVA_SEEN=""
    if [ -n "${JAVA_HOME:-}" ] && accept_java "$JAVA_HOME/bin/java"; then return 0; fi
    on_path="$(command -v java || true)"
    if [ -n "$on_path" ] && accept_java "$on_path"; then return 0; fi
    for folder in $JVM_FOLDERS "$VENV/jdk"; do
        for java in "$folder"/*/bin/java "$folder"/*/Contents/Home/bin/java; do
            if accept_java "$java"; then return 0; fi
        done
    done
    return 1
}

# Debian's stable releases carry 17 or 21, seldom both: takes the first that apt has.
apt_java_package() {
    local package candidate
    for package in openjdk-17-jre-headless openjdk-21-jre-headless; do
        candidate="$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^ *Candidate: //p')"
        if [ -n "$candidate" ] && [ "$candidate" != "(none)" ]; then
            echo "$package"
            return 0
        fi
    done
    return 1
}

apt_works() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && command -v apt-cache >/dev/null
}

install_java_with_apt() {
    local package
    say "      installing one for the whole system: apt-get update"
    # One dead third-party source makes update fail although Debian's own lists are fine.
    logged 300 env DEBIAN_FRONTEND=noninteractive apt-get update -q || true
    package="$(apt_java_package)" || return 1
    say "      apt-get install -y --no-install-recommends $package"
    logged 600 env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$package" || return 1
    find_java
}

install_java_in_venv() {
    say "      downloading Java 17 into .venv/jdk with install-jdk; the system stays as it is"
    logged 300 "$VENV/bin/python" -m pip install -q install-jdk -c constraints.txt || return 1
    logged 600 "$VENV/bin/python" -c \
        'import jdk, sys; jdk.install("17", jre=True, path=sys.argv[1])' "$VENV/jdk" || return 1
    find_java
}

java_advice() {
    local advice="Install Java 17 or 21"
    if command -v apt-get >/dev/null; then
        advice="$advice (apt-get install openjdk-17-jre-headless, or openjdk-21-jre-headless)"
    else
        advice="$advice (for instance from https://adoptium.net)"
    fi
    echo "$advice, or set JAVA_HOME to one, then run make setup again."
}

ensure_java() {
    find_java && return 0
    say "      no Java 17 or 21 found${JAVA_SEEN:+ (only $JAVA_SEEN)}"
    if apt_works && install_java_with_apt; then return 0; fi
    if install_java_in_venv; then return 0; fi
    stop "No Java 17 or 21 found${JAVA_SEEN:+ (only $JAVA_SEEN)}, and none could be downloaded. $(java_advice)"
}
