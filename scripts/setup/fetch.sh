# Sourced by the setup scripts: how they get what they need without changing the system.
# They unpack Debian's packages below target/, so nothing is installed and nothing starts as a service.

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Unpacks a Debian package into a folder: unpack FOLDER PACKAGE PATH_OF_BINARY. The package lists of the system are
# enough, unless they are missing.
unpack() {
    local folder=$1 package=$2 binary=$3
    command -v "${binary##*/}" >/dev/null && return
    [ -x "$folder/$package/$binary" ] && return
    mkdir -p "$folder" && cd "$folder" || return
    apt-get download -qq "$package" || { root apt-get update -qq && apt-get download -qq "$package"; } || return
    dpkg-deb -x "$package"_*.deb "$package" && rm -f "$package"_*.deb
}

# Python modules in an environment of their own: venv FOLDER MODULE==VERSION…
venv() {
    local folder=$1
    shift
    command -v python3 >/dev/null && python3 -c 'import ensurepip' 2>/dev/null || root apt-get install -y -qq --no-install-recommends python3-venv || return
    [ -x "$folder/bin/python" ] || python3 -m venv "$folder" || return
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# Runs get_PART for each part, and says which one cannot be had: fetch LOG PART…
fetch() {
    local log=$1 part
    shift
    mkdir -p "$(dirname "$log")"
    for part in "$@"; do
        ("get_$part") >"$log" 2>&1 || echo "$part cannot be fetched; what needs it is skipped: $(tail -n 1 "$log")"
    done
}
