# What the tests of vrcc as a compiler begin with, in an empty folder of the part's own. ctest sets BIN (vrcc's folder),
# CLANG (what it drives), SOURCE (the project), SCRATCH, CMAKE and LIBRARIES (the build's folders of libraries).
# shellcheck shell=bash disable=SC2034,SC2154 # what is used and set by those who read this
set -euo pipefail
: "${BIN:?}" "${CLANG:?}" "${SOURCE:?}" "${SCRATCH:?}"
here=$SOURCE/tests/vrcc
rm -rf "${SCRATCH:?}/$part"
mkdir -p "$SCRATCH/$part/tmp"
cd "$SCRATCH/$part"
export TMPDIR=$PWD/tmp
for name in $(compgen -e); do
    case $name in VR_* | VRCC_* | CCACHE_*) unset "$name" ;; esac
done

fail() {
    echo "FAILED: $*"
    exit 1
}

# skip WHY: ctest takes 77 for a test that was skipped.
skip() {
    echo "skipped: $*"
    exit 77
}

# same A B, differ A B: what two files have to be
same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }
differ() { ! cmp -s "$1" "$2" || fail "$1 and $2 are the same"; }

# run PROGRAM OUTPUT NAME=VALUE...: with the arguments in `arguments`
arguments=()
run() { env "${@:3}" "./$1" "${arguments[@]}" >"$2" || fail "$1 ${*:3}: exit code $?"; }

# says FILE TEXT, silent FILE: what was printed
says() { grep -qF -- "$2" "$1" || fail "$1 does not say '$2': $(cat "$1")"; }
silent() { [ ! -s "$1" ] || fail "$1 is not empty: $(cat "$1")"; }
