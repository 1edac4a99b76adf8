#!/usr/bin/env bash
# runtime_test.sh PART: what is instrumented, what is said of it, and what programs do when they run. See prelude.sh for
# the variables.
part=$1
# shellcheck source=tests/vrcc/prelude.sh
. "${SOURCE:?}/tests/vrcc/prelude.sh"

# counted FILE FUNCTION COLUMN: the sum of a column in a function's rows
counted() { awk -v name="$2" -v column="$3" '$3 == name { sum += $column } END { print sum + 0 }' "$1"; }

# only ITEMS OUTPUT: the program `places` rounded up in these places
only() { run "${program:-places}" "$2" VR_ROUNDING=up VR_ROUNDING_ONLY="$1" 2>"$2.err"; }

# Functions of the source and lines, wherever the compiler has put them.
places() {
    local flags item
    for flags in -O0 -O2 "-O3 -march=native" "-O2 -g"; do
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -o places "$here/programs/places.c"
        run places nearest.txt
        run places all.txt VR_ROUNDING=up
        differ nearest.txt all.txt
        # the first line is matmul_forward's, the others the sums'
        only matmul_forward forward.txt
        ! cmp -s <(head -1 nearest.txt) <(head -1 forward.txt) || fail "$flags: matmul_forward is not rounded"
        only sum sum.txt
        cmp <(sed 2d nearest.txt) <(sed 2d sum.txt) || fail "$flags: more than sum is rounded"
        differ nearest.txt sum.txt
        only 'sum*' sums.txt
        cmp <(head -1 nearest.txt) <(head -1 sums.txt) || fail "$flags: more than the sums is rounded"
        ! cmp -s <(tail -1 nearest.txt) <(tail -1 sums.txt) || fail "$flags: sum_backward is not rounded"
        for item in places.c:sum "$here/programs/places.c:sum" '*/places.c:16' places.c:13-18 'places.c:s?m' 'su[m]'; do
            only "$item" item.txt
            same sum.txt item.txt
            silent item.txt.err
        done
        printf '# a list\nsum\nplaces.c:24-26\n' >list
        only @list item.txt
        same sums.txt item.txt
        : >list
        only @list item.txt
        same nearest.txt item.txt
        only 'sum,nowhere,places.c:1-5' item.txt
        same sum.txt item.txt
        [ "$(grep -c 'nothing of that name was executed' item.txt.err)" = 2 ] || fail "$(cat item.txt.err)"
        says item.txt.err 'VR_ROUNDING_ONLY: nowhere:'
        run places item.txt VR_ROUNDING=up VR_ROUNDING_EXCLUDE='matmul_forward,main,sum_backward'
        same sum.txt item.txt
        run places item.txt VR_ROUNDING=up VR_ROUNDING_ONLY='sum*' VR_ROUNDING_EXCLUDE=places.c:24
        same sum.txt item.txt
    done
    for item in '@not-there' 'places.c:' ':sum' 'places.c:9-2'; do
        ! VR_ROUNDING_ONLY=$item ./places >/dev/null 2>wrong.txt || fail "$item is taken"
        says wrong.txt "VR_ROUNDING_ONLY=$item: "
    done
    # the same when it is compiled
    program=chosen
    "$BIN/vrcc" -O2 --vr-only='sum,sum_backward' --vr-exclude=places.c:24 -o chosen "$here/programs/places.c"
    run chosen item.txt VR_ROUNDING=up
    same sum.txt item.txt
    "$BIN/vrcc" -O2 --vr-exclude=@list -o chosen "$here/programs/places.c"
    run chosen item.txt VR_ROUNDING=up
    same all.txt item.txt
    ! "$BIN/vrcc" --vr-only=@not-there -c "$here/programs/places.c" 2>wrong.txt || fail "a list that is not there"
    says wrong.txt '--vr-only=@not-there: '
    # no debug information is left that was not asked for
    "$BIN/vrcc" -O2 -c "$here/programs/places.c"
    ! readelf -SW places.o | grep -q '\.debug' || fail "debug information without -g"
}

# C++: by symbol, by qualified name, with a template's arguments and without.
names() {
    local flags item line
    for flags in -O0 -O2 "-O2 -g"; do
        # shellcheck disable=SC2086
        "$BIN/vrc++" $flags -o names "$here/programs/names.cc"
        run names nearest.txt
        run names all.txt VR_ROUNDING=ud
        while read -r line item; do
            env VR_ROUNDING=ud VR_ROUNDING_ONLY="$item" ./names >item.txt 2>item.err
            # shellcheck disable=SC2086
            ! cmp -s nearest.txt item.txt || fail "$flags: $item: nothing is rounded"
            cmp <(sed "$line" nearest.txt) <(sed "$line" item.txt) || fail "$flags: $item: more is rounded"
            silent item.err
        done <<'END'
1d outer::total<double>
2d outer::total<float>
1,2d outer::total
1,2d names.cc:outer::total
1d _ZN5outer5totalIdEET_PKS1_i
3d outer::matrix::operator()
4d outer::matrix::operator[]
3,4d outer::matrix::*
5d outer::(anonymous namespace)::hidden
1,5d outer::*
END
    done
}

# What was executed, by line and by function; what OpenMP makes of a function is that function's.
counts() {
    local flags
    for flags in -O0 "-O3 -march=native"; do
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -ffp-contract=off -o places "$here/programs/places.c"
        run places nearest.txt
        run places counted.txt VR_ROUNDING_COUNT=table-%p.tsv
        same nearest.txt counted.txt
        mv table-*.tsv table.tsv
        sed "s,^.*/,," table.tsv >short.tsv
        printf '%s\n' 'file line function add sub mul div sqrt fma' 'places.c 9 matmul_forward 100 0 100 0 0 0' \
            'places.c 16 sum 100 0 0 0 0 0' 'places.c 24 sum_backward 100 0 0 0 0 0' 'places.c 33 main 0 0 100 0 0 0' |
            tr ' ' '\t' >wanted.tsv
        diff wanted.tsv short.tsv || fail "$flags: the counts"
        VR_ROUNDING_COUNT=1 ./places >counted.txt 2>counts.txt
        says counts.txt "matmul_forward ($here/programs/places.c): add 100 mul 100"
    done
    ! ls ./*.part 2>/dev/null || fail "a half-written table"
    VR_ROUNDING_COUNT=/nowhere/table ./places 2>counts.txt >counted.txt
    says counts.txt '/nowhere/table: cannot be written'
    same nearest.txt counted.txt
    cat >team.c <<'END'
float x[1000];
static void scale(int n)
{
#pragma omp parallel for
    for (int i = 0; i < n; i++)
        x[i] = 1.0f / (float)(i + 1);
}
static void one_more(void)
{
#pragma omp parallel
#pragma omp single
#pragma omp task
    x[0] *= 1.1f;
}
int main(void) { scale(1000); one_more(); return 0; }
END
    for flags in -O0 -O2; do
        "$BIN/vrcc" $flags -fopenmp -o team team.c
        VR_ROUNDING_COUNT=1 ./team 2>counts.txt
        says counts.txt 'scale (team.c): div 1000'
        says counts.txt 'one_more (team.c): mul 1'
    done
    # conversions and comparisons, where they are asked for
    "$BIN/vrcc" -O0 --vr-instrument=arithmetic,conversion,comparison --vr-report=- -o groups "$here/programs/groups.c" 2>report.txt
    says report.txt 'instrumented: mul 3 conversion 1 comparison 2'
    VR_ROUNDING_COUNT=1 ./groups 2>counts.txt
    says counts.txt 'mul 15 conversion 7 comparison 8'
    "$BIN/vrcc" -O0 --vr-report=- -c "$here/programs/groups.c" 2>report.txt
    says report.txt 'not asked for: 1 conversions, 2 comparisons'
    ! "$BIN/vrcc" --vr-instrument=everything -c "$here/programs/groups.c" 2>report.txt || fail "a group that is none"
}

# planted FILE: each hole that is planted there is named, in both forms of the report
holes() {
    local word
    "$BIN/vrcc" -O2 --vr-report=report.txt --vr-exclude='excl*' -c "$here/programs/holes.c"
    "$BIN/vrcc" -O2 --vr-report=report.json --vr-exclude='excl*' -c "$here/programs/holes.c"
    while read -r word; do
        says report.txt "$word"
    done <<'END'
holes.c:7: wide: a type wider than f64: fmul
reciprocal: an intrinsic that is no operation of LLVM's: 
assembler: assembler: 
: excluded: excluded: fadd
quadruple: a type wider than f64: fadd fp128
rounded_up: an intrinsic that is no operation of LLVM's: 
powers: llvm.powi
complex_quotient: __divdc3
library: sin
wide_root: a type wider than f64: 
complex_product: __muldc3
one_lane: an intrinsic that is no operation of LLVM's: 
one_quotient: an intrinsic that is no operation of LLVM's: 
  fine (
END
    "$BIN/vrcc" -O2 --vr-report=- --target=aarch64-linux-gnu -march=armv8-a+sve -ffreestanding -c \
        "$here/programs/sve.c" 2>sve.txt
    says sve.txt 'sve.c: 0 of 2 operations instrumented'
    "$BIN/vrcc" -O2 --vr-report=- --vr-instrument=conversion -c "$here/programs/holes.c" 2>conversions.txt
    says conversions.txt 'narrowed: a type wider than f64: fptrunc'
    says conversions.txt 'huge_integer: an integer of more than 64 bits: sitofp'
    says conversions.txt 'packed: an intrinsic of one processor: '
    [ "$(wc -l <report.json)" = 1 ] || fail "the JSON report is not one line"
    if command -v jq >jq.txt; then
        [ "$(jq -r '.exceptions[] | select(.function == "wide") | "\(.line) \(.reason)"' report.json)" = \
            "7 a type wider than f64" ] || fail "the JSON report"
        [ "$(jq '.left_alone' report.json)" = "$(sed -n '/^left alone:/,/^calls/p' report.txt | grep -c '^  ')" ] ||
            fail "the JSON report's number"
    else
        says report.json '"line":7,"reason":"a type wider than f64"'
    fi
}

# Of the project's own kernels and the test's programs nothing is left alone.
coverage() {
    local contract bits source flags="-std=gnu17 -O3 -march=native -fopenmp -D_GNU_SOURCE -DVR_VERSION=\"0\" -w"
    flags+=" -DVR_ROUNDING_STRICT -DVR_ISA=native -I$SOURCE -I$SOURCE/capture -I$SOURCE/libtrace -I$SOURCE/formats"
    for contract in "" -ffp-contract=off; do
        for bits in 32 64; do
            for source in "$SOURCE"/capture/kernels_*.c; do
                # shellcheck disable=SC2086
                "$BIN/vrcc" $flags $contract -DVR_REAL_BITS=$bits --vr-report=report.txt -c "$source" -o object.o
            done
        done
        for source in "$here"/programs/{cg,fft,places}.c "$SOURCE"/examples/cancellation/main.c; do
            # shellcheck disable=SC2086
            "$BIN/vrcc" $flags $contract --vr-report=report.txt -c "$source" -o object.o
        done
    done
    ! grep 'operations instrumented' report.txt | grep -v '(100.0%)' ||
        fail "coverage: $(sed -n '/^left/,$p' report.txt)"
    [ "$(grep -c '(100.0%)' report.txt)" -ge 40 ] || fail "files: $(grep -c '(100.0%)' report.txt)"
    awk '/ operations instrumented / { sum += $2 } END { exit sum < 1000 }' report.txt || fail "hardly any"
}

# Before main, in another process, in a signal's handler, in a library of its own.
process() {
    "$BIN/vrcc" -O2 -o process "$here/programs/process.c" -ldl
    "$BIN/vrcc" -O2 -fPIC -shared -o liblibrary.so "$here/programs/library.c"
    "$CLANG" -O2 -o plain "$here/programs/process.c" -ldl
    "$CLANG" -O2 -fPIC -shared -o libplain.so "$here/programs/library.c"
    local arguments=(fork) mode bits
    run plain plain.txt
    run process nearest.txt
    same plain.txt nearest.txt
    run process up.txt VR_ROUNDING=up
    ! cmp -s <(head -1 plain.txt) <(head -1 up.txt) || fail "arithmetic before main is not rounded"
    # in another process the same operations round the same way, unless there is a stream, which is then another one
    run process sr.txt VR_ROUNDING=sr
    [ "$(grep -oE '(child|parent) [^,]*' sr.txt | cut -d' ' -f2 | uniq | wc -l)" = 1 ] || fail "$(cat sr.txt)"
    for mode in sr again; do run process $mode.txt VR_ROUNDING=sr VR_ROUNDING_BITS=stream; done
    same sr.txt again.txt
    [ "$(grep -oE '(child|parent) [^,]*' sr.txt | cut -d' ' -f2 | uniq | wc -l)" = 2 ] || fail "$(cat sr.txt)"
    run process counted.txt VR_ROUNDING_COUNT=counts-%p.tsv
    # early 10; before 20 and parent 30; child 30, without what its parent had counted
    [ "$(for mode in counts-*.tsv; do counted "$mode" thirds 7; done | sort -n | xargs)" = "30 60" ] ||
        fail "counts of two processes: $(cat counts-*.tsv)"

    arguments=(signal)
    for bits in operands stream; do
        for mode in sr ud mca; do
            timeout 20 env VR_ROUNDING=$mode VR_ROUNDING_BITS=$bits VR_ROUNDING_COUNT=interrupted.tsv ./process signal \
                >out.txt || fail "$mode, $bits: a signal's handler: exit code $?"
            says out.txt interrupted
        done
    done
    # ever again from the start, where decisions are made
    for mode in 1 2 3 4 5 6 7 8; do timeout 20 env VR_ROUNDING=sr ./process signal >out.txt || fail "run $mode"; done

    arguments=(library ./libplain.so)
    run plain plain.txt
    arguments=(library ./liblibrary.so)
    for mode in "" VR_ROUNDING_COUNT=both.tsv VR_ROUNDING_ONLY=scaled; do
        env $mode ./process library ./liblibrary.so >nearest.txt 2>errors.txt
        same plain.txt nearest.txt
        silent errors.txt
    done
    [ "$(counted both.tsv scaled 4)" = 70 ] || fail "counts of a library: $(cat both.tsv)"
    [ "$(counted both.tsv thirds 7)" -gt 20 ] || fail "counts of its program: $(cat both.tsv)"
    VR_ROUNDING_COUNT=1 ./plain library ./liblibrary.so 2>counts.txt >nearest.txt
    says counts.txt "scaled ($here/programs/library.c): add 70 "
    VR_ROUNDING=up VR_ROUNDING_ONLY=scaled,nothing ./process library ./liblibrary.so >up.txt 2>errors.txt
    [ "$(cat errors.txt)" = "vrcc: VR_ROUNDING_ONLY: nothing: nothing of that name was executed" ] ||
        fail "$(cat errors.txt)"
    cmp <(sed 1d plain.txt | cut -d' ' -f2) <(sed 1d up.txt | cut -d' ' -f2) || fail "the program is rounded, too"
    differ plain.txt up.txt
}

# A stream for each thread, whatever their order; threads are many enough that some would change places.
streams() {
    local i
    for i in -O0 -O2; do
        "$BIN/vrcc" $i -fopenmp -o streams "$here/programs/streams.c" -lpthread
        run streams nearest.txt
        run streams first.txt VR_ROUNDING=sr VR_ROUNDING_BITS=stream VR_SEED=9
        for _ in 1 2 3 4 5 6; do
            run streams again.txt VR_ROUNDING=sr VR_ROUNDING_BITS=stream VR_SEED=9
            same first.txt again.txt
        done
        differ nearest.txt first.txt
        [ "$(head -8 first.txt | cut -d' ' -f1 | sort -u | wc -l)" -gt 3 ] || fail "threads have the same stream"
    done
}

"$part"
