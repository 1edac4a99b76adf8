#!/usr/bin/env bash
# Runs `varanalyze diff` and `varanalyze info` on damaged HDF5 files: they have to end by themselves, with 0, 1 or 2, and
# where it is 2, with one message that names the file.
#
#   hostile.sh BIN SCRATCH [COUNT]
#
# BIN is the folder of varanalyze and make_pairs; COUNT (300) damaged files are made in SCRATCH, from ten random ones.
set -euo pipefail
export LC_ALL=C TERM=dumb
bin=$(cd "$1" && pwd)
mkdir -p "$2/damaged"
cd "$2"
count=${3:-300}

# Prints what is wrong with a run of the program on file $1, if anything is.
try() {
    local file=$1 status=0 message
    shift
    timeout 90 "$bin/varanalyze" "$@" >"$file.out" 2>"$file.err" </dev/null || status=$?
    message=$(cat "$file.err")
    case $status in
    0 | 1) ;;
    2) case $message in
        "varanalyze: "*"$file"*) ;;
        *) echo "$file: varanalyze $*: exit 2 with: ${message:-nothing}" ;;
        esac ;;
    124) echo "$file: varanalyze $*: no end after 20 s" ;;
    *) echo "$file: varanalyze $*: exit $status: $message" ;;
    esac
    [ $status != 2 ] || [ "$(wc -l <"$file.err")" = 1 ] || echo "$file: varanalyze $*: more than one line: $message"
    rm -f "$file.out" "$file.err"
    echo "= $status"
}

# Against the file it was made from, and against itself: that way more of it is read.
attack() {
    local number=$1 base
    base=$((number % 10 + 1))-a.h5
    try "damaged/$number.h5" diff "damaged/$number.h5" "$base"
    try "damaged/$number.h5" diff "damaged/$number.h5" "damaged/$number.h5"
    try "damaged/$number.h5" info "damaged/$number.h5"
}
export -f try attack
export bin

rm -f ./*.h5 damaged/*
"$bin/make_pairs" . 1 10 >/dev/null
"$bin/make_pairs" --damage damaged "$count" {1..10}-a.h5
# Who starts it may ignore SIGCHLD.
(trap '' CHLD && exec "$bin/varanalyze" diff -q 1-a.h5 1-a.h5) || echo "1-a.h5: varanalyze diff: exit $? where SIGCHLD is ignored"
seq 0 $((count - 1)) | xargs -P "$(nproc)" -I{} bash -c 'attack {}' >report 2>&1
grep -v '^= ' report || true
sort report | sed -n 's/^= //p' | uniq -c | sed -E 's/ *([0-9]+) ([0-9]+)/\1 runs ended with \2/'
! grep -qv '^= ' report
