#!/usr/bin/env bash
# Holds what `varanalyze diff` says of pairs of random HDF5 files against what is known of them, and against h5diff:
#
#   agree_h5diff.sh BIN SCRATCH [FIRST COUNT]
#
# BIN is the folder of varanalyze and make_pairs; the pairs of COUNT seeds from FIRST on (400 from 1) are made in SCRATCH.
# Fails where varanalyze is wrong, or where it disagrees with h5diff for none of the reasons of docs/agreement.md. Ends with
# 77 where there is no h5diff.
set -euo pipefail
export LC_ALL=C TERM=dumb
command -v h5diff >/dev/null || {
    echo "agree_h5diff.sh: skipped: h5diff is not there (Debian: hdf5-tools)"
    exit 77
}
bin=$(cd "$1" && pwd)
mkdir -p "$2"
cd "$2"
first=${3:-1} count=${4:-400}

# The exit codes of both programs for the pair of seed $1; 124 is a timeout, 128 and more a signal.
judge() {
    local ours=0 theirs=0
    timeout 20 "$bin/varanalyze" diff "$1-a.h5" "$1-b.h5" >/dev/null 2>&1 || ours=$?
    { timeout 20 h5diff "$1-a.h5" "$1-b.h5" >/dev/null 2>&1; } 2>/dev/null || theirs=$?
    echo "$1 $ours $theirs"
}
export -f judge
export bin

rm -f ./*-[ab].h5
"$bin/make_pairs" . "$first" "$count" >pairs
# shellcheck disable=SC2016 # xargs gives the seed
cut -d ' ' -f 1 pairs | xargs -P "$(nproc)" -I{} bash -c 'judge {}' 2>/dev/null | sort -n >verdicts
sort -n -o pairs pairs

# pairs: SEED TRUTH HOLDS CHANGE...; verdicts: SEED OURS THEIRS
paste -d ' ' verdicts pairs | awk '
function name(change) {
    return substr(change, 1, index(change, "=") - 1)
}

function place(change) {
    return substr(change, index(change, ":") + 1)
}

# Why h5diff takes a pair with this change for the same; "": there is no reason that it should.
function blind(change) {
    change = name(change)
    if (change ~ /^shape-/) return "another shape: not comparable to h5diff"
    if (change ~ /^(type-class|type-member)$/) return "types that cannot be compared: no difference to h5diff"
    if (change == "type-size") return "integers of other sizes: compared by value by h5diff"
    if (change == "type-enum") return "enumerations: compared by number by h5diff"
    if (change ~ /^(object|link)-kind$/) return "objects of other kinds: not comparable to h5diff"
    if (change == "length") return "sequences of other lengths: no difference to h5diff"
    if (change == "nan-payload") return "NaN with other payload: the same to h5diff"
    if (change == "reference") return "references: h5diff compares what they lead to"
    return ""
}

# Why h5diff ends otherwise than it should, by what the files hold.
function broken(theirs, holds, changes) {
    if (theirs >= 128 && holds ~ /reference|region/) return "h5diff crashes on references"
    if (theirs >= 128 && changes ~ /length=/) return "h5diff crashes on sequences of other lengths"
    if (theirs == 2 && holds ~ /reference/) return "h5diff fails on references it cannot follow"
    if (theirs == 1 && holds ~ /array-of-vlen/) return "arrays of sequences: h5diff sees differences in equal ones"
    return ""
}

# Whether h5diff compares nothing of the object that a change was made to, because of another change.
function hidden(change,   i) {
    for (i = 7; i <= NF; i++)
        if ($i ~ /^(shape-|type-class|type-member|object-kind)/ && index(place(change) "@", place($i) "@") == 1) return 1
    return 0
}

function explain(ours, theirs, invisible,   i, why) {
    if (theirs != 0 || ours != 1) return broken(theirs, $6, $0)
    for (i = 7; i <= NF; i++) {
        if (blind($i) == "" && $i !~ invisible && !hidden($i)) return ""
        if (why == "") why = blind($i)
    }
    return why
}

$1 != $4 { print "agree_h5diff.sh: the lists do not match: " $0; failed = 1; exit }
{
    pairs++
    changes = ""
    for (i = 7; i <= NF; i++) changes = changes " " $i
    if ($2 != $5) {
        printf "WRONG: seed %d: varanalyze diff exits with %d, not %d:%s\n", $1, $2, $5, changes ? changes : " no change"
        wrong++
    }
    if ($2 == $3) { agreed[$2]++; next }
    why = explain($2, $3, "^(integer-padding|string-tail|gap|fill-hidden|type-(order|tag|charset|string-size))=")
    if (why == "") {
        printf "UNEXPLAINED: seed %d: varanalyze %d, h5diff %d:%s\n", $1, $2, $3, changes ? changes : " no change"
        unexplained++
    }
    table[(why == "" ? "no reason known" : why) "\t" $2 "\t" ($3 >= 128 ? "crash" : $3)]++
}
END {
    if (failed) exit 1
    printf "\n%d pairs; both say the same of %d, different of %d\n\n", pairs, agreed[0], agreed[1]
    printf "%5s  %10s  %6s  %s\n", "pairs", "varanalyze", "h5diff", "reason"
    fflush()
    for (key in table) {
        split(key, part, "\t")
        printf "%5d  %10s  %6s  %s\n", table[key], part[2], part[3], part[1] | "sort -k 4"
    }
    close("sort -k 4")
    printf "\n%d wrong, %d unexplained\n", wrong, unexplained
    exit wrong + unexplained > 0
}' | tee report
