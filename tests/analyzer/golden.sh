#!/usr/bin/env bash
# Runs commands as a user would and holds what they say against what they said when somebody last looked:
#
#   golden.sh BIN SCRATCH traces             writes the traces the commands read into SCRATCH
#   golden.sh BIN SCRATCH check FILE...      runs the commands in each transcript; prints what changed, and fails if anything did
#   golden.sh BIN SCRATCH --update FILE...   the same, but writes what the commands say now into the transcript; read the diff
#
# BIN is the folder of varanalyze, make_traces, make_hdf5, make_study, make_costs and stable_json: in a build folder B, from the
# top of the tree,
#
#   tests/analyzer/golden.sh B/bin /tmp/golden traces
#   tests/analyzer/golden.sh B/bin /tmp/golden --update tests/analyzer/golden/*.txt
#
# A transcript is a list of blocks: a comment in lines that begin with "# ", one line "$ COMMAND", run by bash in a folder where the traces
# lie; the lines of its output, those on standard error behind "! "; last "= STATUS", and an empty line. To add a command, write its
# "$ " line and update.
#
# Nothing is left out of what is compared but by a filter that stands in the command: `stable` for text, `stable_json` for JSON.
set -euo pipefail
export LC_ALL=C TERM=dumb
PATH=$(cd "$1" && pwd):$PATH
mkdir -p "$2"
scratch=$(cd "$2" && pwd) mode=$3
shift 3
for name in $(compgen -e); do
    case $name in VR_* | OMP_* | GOMP_* | KMP_* | *POSIXLY_CORRECT) unset "$name" ;; esac
done

# Text without what differs from machine to machine: command, time, host and CPU of a run; size of the file; times; and what
# the HDF5 library has to say of a file that is cut off.
# shellcheck disable=SC2317 # the commands of the transcripts call it
stable() {
    sed -E -e 's/^(  (command|started|host|cpu) +).*/\1.../' \
        -e 's/^  [0-9,]+ bytes, of these/  ... bytes, of these/' \
        -e 's/^  [0-9.]+ s$/  ... s/' \
        -e 's/ +[0-9.]+ us$/ ... us/' \
        -e 's/(cut-off HDF5 file: ).*/\1.../'
}

write_traces() {
    rm -rf "$scratch/traces"
    mkdir -p "$scratch/traces"
    make_traces "$scratch/traces"
    make_hdf5 "$scratch/traces"
    make_study "$scratch/traces"
    mkdir "$scratch/traces/costs"
    make_costs "$scratch/traces/costs"
}

run_command() {
    local out err status=0
    (eval "$1") >"$work/.out" 2>"$work/.err" </dev/null || status=$?
    printf '$ %s\n' "$1"
    for out in out err; do
        [ -s "$work/.$out" ] || continue
        err=''
        [ $out = out ] || err='! '
        sed "s/^/$err/" "$work/.$out"
        [ "$(tail -c 1 "$work/.$out" | wc -l)" = 1 ] || printf '\n(no newline at the end)\n'
    done
    printf '= %d\n' "$status"
}

# What the transcript would be now.
play() {
    local line
    exec <"$1"
    work=$scratch/$(basename "$1" .txt)
    rm -rf "$work"
    cp -r "$scratch/traces" "$work"
    cd "$work"
    while IFS= read -r line; do
        case $line in
        '# '*) printf '%s\n' "$line" ;;
        '$ '*) run_command "${line#\$ }" && echo ;;
        esac
    done
}

if [ "$mode" = traces ]; then
    write_traces
    exit
fi
result=0
for file; do
    now=$scratch/$(basename "$file").now
    (play "$file") >"$now"
    if [ "$mode" = --update ]; then
        cp "$now" "$file"
    elif ! grep -q '^\$ ' "$file"; then
        echo "$file: has no commands"
        result=1
    else
        diff -u "$file" "$now" || result=1
    fi
done
exit $result
