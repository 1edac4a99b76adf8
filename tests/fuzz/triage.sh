#!/usr/bin/env bash
# Tells crashes of the HDF5 library from those of varanalyze:
#
#   triage.sh FUZZ_PROGRAM ARTIFACT...
#
# Runs the program on each artifact and prints where it ended: "library" when the first frame of the report that is not of
# the C library, the sanitizers or the fuzzer is in libhdf5 or what that stands on, "ours" otherwise, "none" when it did
# not fail. Exits with 1 when any is ours. An allocation of more than 1 GiB counts as a failure. To find some:
#
#   fuzz_walk -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 -timeout=20 -detect_leaks=0 -max_len=32768 \
#       -max_total_time=600 found/ tests/fuzz/corpus/walk/
set -euo pipefail
export LC_ALL=C ASAN_OPTIONS=detect_leaks=0:handle_abort=1:allocator_may_return_null=1:quarantine_size_mb=16
export UBSAN_OPTIONS=print_stacktrace=1

(($# >= 2)) || {
    sed -n 's/^# \{0,1\}//; 2,12p' "$0" >&2
    exit 2
}
program=$1
shift

# The frames of a report's first stack, innermost first, without those of the tools.
frames() {
    awk '/^ *#[0-9]+ /{ n = $1; sub("#", "", n); if (n + 0 == 0 && seen++) exit; print }' |
        grep -v -E ' in (__interceptor_|__asan|__ubsan|__sanitizer|__lsan|fuzzer::|operator |_*(mem|str)[a-z]+[a-z0-9_]*( |$)|_*(m|c|re)alloc( |$)|_*free( |$)|_*abort|_*raise|gsignal|__GI_|__pthread_kill)|/libc\.so|libpthread|linux-vdso'
}

ours=0
for artifact; do
    status=0
    report=$(timeout 60 "$program" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=1024 "$artifact" 2>&1) || status=$?
    # Not head: under pipefail it would end the list with a broken pipe.
    frame=$(frames <<<"$report" | sed -n 1p) || true
    case $status:$frame in
    0:*) kind=none ;;
    *libhdf5* | *libsz* | *libaec* | *libz.*) kind=library ;;
    *) kind=ours ours=1 ;;
    esac
    printf '%-8s %s: exit %d: %s\n' $kind "$artifact" $status "${frame:-no stack}"
done
exit $ours
