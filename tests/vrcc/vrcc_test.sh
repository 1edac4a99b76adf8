#!/usr/bin/env bash
# vrcc_test.sh PART: what vrcc makes of programs. See prelude.sh for the variables.
part=$1
# shellcheck source=tests/vrcc/prelude.sh
. "${SOURCE:?}/tests/vrcc/prelude.sh"

# The same program by clang and by vrcc: to nearest nothing may change, else something has to, and a seed repeats.
program() {
    local name=$1 flags
    shift
    for flags in -O0 -O2 "-O3 -march=native -ffast-math" "-O1 -g -fPIC -ffp-contract=off"; do
        # shellcheck disable=SC2086 # a list of flags
        "$CLANG" $flags -w -o "$name.plain" "$@"
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -w --vr-quiet -o "$name" "$@"
        run "$name.plain" plain.txt
        run "$name" nearest.txt
        same plain.txt nearest.txt
        run "$name" sr.txt VR_ROUNDING=sr VR_SEED=3
        run "$name" again.txt VR_ROUNDING=sr VR_SEED=3
        run "$name" ud.txt VR_ROUNDING=ud
        run "$name" other.txt VR_ROUNDING=sr VR_SEED=4
        same sr.txt again.txt
        differ plain.txt sr.txt
        differ sr.txt other.txt
        differ sr.txt ud.txt
    done
}

programs() {
    program cancellation "$SOURCE/examples/cancellation/main.c" -lm
    program cg "$here/programs/cg.c" -lm
    program fft "$here/programs/fft.c" -lm
    program shapes "$here/programs/shapes.c" -lm
    # Threads add up in the same order, however many there are.
    run cg one.txt VR_ROUNDING=sr OMP_NUM_THREADS=1
}

cxx() {
    program language --driver-mode=g++ "$here/programs/language.cc" -lpthread
}

# digits_flags: what the digits example is compiled and linked with
digits_flags() {
    local directory
    flags=(-O2 -march=native -w -fopenmp -std=gnu17 -D_GNU_SOURCE -DDIGITS_DATA="\"$SOURCE/examples/data\"" -I"$SOURCE"
           -I"$SOURCE/capture" -I"$SOURCE/libtrace" -I"$SOURCE/formats")
    link=()
    IFS=: read -ra directories <<<"${LIBRARIES:?}"
    for directory in "${directories[@]}"; do link+=(-L"$directory" "-Wl,-rpath,$directory"); done
    link+=(-lvrcapture -lvrtrace -lm)
}

# The digits example trains the same way as when it is compiled by clang; the capture library is not instrumented.
digits() {
    local flags link
    digits_flags
    "$CLANG" "${flags[@]}" -o digits.plain "$SOURCE"/examples/digits/*.c "${link[@]}"
    "$BIN/vrcc" "${flags[@]}" --vr-report=report.txt -o digits "$SOURCE"/examples/digits/*.c "${link[@]}" >said.txt 2>&1
    silent said.txt
    ! grep 'operations instrumented' report.txt | grep -v '(100.0%)' || fail "coverage of the digits example"
    # what epochs take differs from run to run
    arguments=(--epochs 1)
    run digits.plain plain.txt OMP_NUM_THREADS=2
    run digits nearest.txt OMP_NUM_THREADS=2 VR_TRACE=nearest.h5
    sed -i 's/ [0-9.]* s$//' plain.txt nearest.txt
    same plain.txt nearest.txt
    run digits sr.txt OMP_NUM_THREADS=2 VR_ROUNDING=sr VR_TRACE=sr.h5
    "$BIN/varanalyze" info sr.h5 >info.txt
    grep -q 'rounding  *sr' info.txt || fail "the trace does not say how it was rounded"
}

# few_samples N: the first of those that come with the example
few_samples() {
    local data=$SOURCE/examples/data name count
    count=$(printf '\\0\\0\\%o\\%o' $(($1 / 256)) $(($1 % 256)))
    for name in images-idx3 labels-idx1; do
        head -c 4 "$data/$name-ubyte" >"$name"
        # shellcheck disable=SC2059 # the format is the text
        printf "$count" >>"$name"
    done
    head -c $((16 + $1 * 64)) "$data/images-idx3-ubyte" | tail -c +9 >>images-idx3
    head -c $((8 + $1)) "$data/labels-idx1-ubyte" | tail -c +9 >>labels-idx1
}

# The same network with sums that are loops of C: to nearest the bits of clang's program, else noise of vrcc's making.
digits_plain() {
    local flags link replica traces=()
    digits_flags
    few_samples 200
    "$CLANG" "${flags[@]}" -DDIGITS_PLAIN -o digits.plain "$SOURCE"/examples/digits/*.c "${link[@]}"
    "$BIN/vrcc" "${flags[@]}" -DDIGITS_PLAIN -o digits "$SOURCE"/examples/digits/*.c "${link[@]}" >said.txt 2>&1
    silent said.txt
    arguments=(--epochs 1 --images images-idx3 --labels labels-idx1)
    run digits.plain plain.txt OMP_NUM_THREADS=2 VR_TRACE=plain.h5 VR_LEVEL=full
    run digits nearest.txt OMP_NUM_THREADS=1 VR_TRACE=nearest.h5 VR_LEVEL=full
    "$BIN/varanalyze" diff plain.h5 nearest.h5 >diff.txt || fail "to nearest: $(cat diff.txt)"
    for replica in 1 2 3 4 5; do
        run digits sr.txt VR_ROUNDING=sr VR_VARY=rounding VR_REPLICA=$replica VR_TRACE=$replica.h5 VR_LEVEL=full
        traces+=("$replica.h5")
    done
    run digits sr.txt OMP_NUM_THREADS=1 VR_ROUNDING=sr VR_VARY=rounding VR_REPLICA=5 VR_TRACE=again.h5 VR_LEVEL=full
    "$BIN/varanalyze" diff 5.h5 again.h5 >diff.txt || fail "a seed does not repeat: $(cat diff.txt)"
    ! "$BIN/varanalyze" diff 4.h5 5.h5 >diff.txt || fail "another replica changes nothing"
    says diff.txt 'likely cause: the seed "rounding" differs'
    # Five runs vouch for 20.5 bits at most. The first layer's sums of 9 products keep that; the last layer, four layers
    # and sums of up to 1,024 products later, lost some bits, but not the most.
    "$BIN/varanalyze" sigbits --step 1 --phase forward --format csv "${traces[@]}" >bits.csv
    awk -F, '$1 == "conv1" { first = $6 } $1 == "dense2" { last = $6 }
             END { exit !(first > 20 && last < 20 && last > 12) }' bits.csv || fail "bits: $(cat bits.csv)"
}

# The example shows what it says: of the sums that cancel, the bits that are left; the stable ones keep all but a few.
cancellation() {
    local seed
    "$BIN/vrcc" -O2 "$SOURCE/examples/cancellation/main.c" -o cancellation -lm
    for seed in {1..10}; do
        run cancellation out.txt VR_ROUNDING=sr VR_SEED=$seed
        cat out.txt >>all.txt
    done
    # name, spread over size of the cancelling and of the stable way: a unit of the last place is 2.2e-16
    awk '{ for (i = 2; i <= 4; i += 2) {
               k = $1 " " i
               if (!(k in low) || $i < low[k]) low[k] = $i
               if ($i > high[k]) high[k] = $i
         } }
         END { for (k in low) print k, (high[k] - low[k]) / high[k] }' all.txt >spread.txt
    awk '$2 == 2 && !($3 > 1e-3) || $2 == 4 && !($3 < 1e-10) { bad = 1 } END { exit bad || NR != 6 }' spread.txt ||
        fail "$(cat spread.txt)"
}

# What a trace says of the rounding, however the program is linked.
capture() {
    local flags link kind
    digits_flags
    cat >traced.c <<'END'
#include <varanalyze/capture.h>
float total(const float *x, int n);
int main(void)
{
    float x[1000], sum;
    for (int i = 0; i < 1000; i++)
        x[i] = 0.1f;
    vr_run *run;
    if (vr_run_open(&run, NULL) != VR_OK)
        return 2;
    vr_run_step(run, 0);
    sum = total(x, 1000);
    vr_record(run, VR_INPUT, "batch", "x", VR_TENSOR(VR_F32, x, 1000), NULL);
    vr_record(run, VR_FORWARD, "sum", "out", VR_TENSOR(VR_F32, &sum, 1), "batch/x", NULL);
    return vr_run_close(run) == VR_OK ? 0 : 1;
}
END
    cat >total.c <<'END'
float total(const float *x, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}
END
    link+=(-lvrtrace)
    "$BIN/vrcc" "${flags[@]}" traced.c total.c -o pie "${link[@]}"
    "$BIN/vrcc" "${flags[@]}" -no-pie traced.c total.c -o fixed "${link[@]}"
    "$BIN/vrcc" "${flags[@]}" -fPIC -shared total.c -o libtotal.so
    "$CLANG" "${flags[@]}" traced.c -o library -L. -ltotal "-Wl,-rpath,$PWD" "${link[@]}"
    "$BIN/vrcc" "${flags[@]}" traced.c -o both -L. -ltotal "-Wl,-rpath,$PWD" "${link[@]}"
    "$CLANG" "${flags[@]}" traced.c total.c -o never "${link[@]}"
    for kind in pie fixed library both; do
        run $kind out.txt VR_ROUNDING=up VR_TRACE=$kind.up.h5
        run $kind out.txt VR_ROUNDING=sr VR_ROUNDING_PRECISION=12 VR_ROUNDING_BITS=stream VR_TRACE=$kind.sr.h5
        "$BIN/varanalyze" info $kind.up.h5 >info.txt
        grep -q 'rounding  *up' info.txt || fail "$kind: $(cat info.txt)"
        "$BIN/varanalyze" info $kind.sr.h5 >info.txt
        grep -q 'rounding  *sr' info.txt && grep -q 'precision  *12' info.txt && grep -q 'bits  *stream' info.txt ||
            fail "$kind: $(cat info.txt)"
        ! "$BIN/varanalyze" diff $kind.up.h5 $kind.sr.h5 >diff.txt || fail "$kind: rounding changes nothing"
        says diff.txt "the rounding mode"
    done
    # Without vrcc the variable is the kernels' own, and the sum is what it was.
    run never out.txt VR_TRACE=never.h5
    run pie out.txt VR_TRACE=pie.h5
    "$BIN/varanalyze" diff never.h5 pie.h5 >diff.txt || fail "to nearest: $(cat diff.txt)"
}

# Files as make and cmake want them.
driver() {
    local source=$here/programs/cg.c
    cat >a.c <<'END'
#include "a.h"
double scaled(double x) { return x * FACTOR; }
END
    echo '#define FACTOR 1.1' >a.h
    cat >b.c <<'END'
#include <stdio.h>
double scaled(double x);
int main(void)
{
    double sum = 0;
    for (int i = 0; i < 100; i++)
        sum += scaled(i * 0.3);
    printf("%.17g\n", sum);
    return 0;
}
END
    "$BIN/vrcc" -O2 -MMD -c a.c
    grep -q 'a\.h' a.d || fail "no dependency file"
    "$BIN/vrcc" -O2 -c b.c -o b.o
    "$BIN/vrcc" a.o b.o -o ab 2>link.txt
    [ ! -s link.txt ] || fail "a word about objects that are instrumented: $(cat link.txt)"
    run ab nearest.txt
    run ab sr.txt VR_ROUNDING=up
    differ nearest.txt sr.txt

    "$BIN/vrcc" -O2 -S a.c -o a.s
    grep -q 'scaled.vrcc.rounded' a.s || fail "-S is not instrumented"
    "$BIN/vrcc" a.s b.o -o from_s 2>/dev/null
    run from_s from_s.txt VR_ROUNDING=up
    same sr.txt from_s.txt
    "$BIN/vrcc" -O2 -x c - -c -o from_stdin.o <a.c
    echo "-O2 a.c b.c -o from_response" >response.txt
    "$BIN/vrcc" @response.txt
    run from_response from_response.txt VR_ROUNDING=up
    same sr.txt from_response.txt
    "$BIN/vrcc" -O2 -save-temps=obj -c a.c -o saved.o && [ -e a.i ] || fail "-save-temps"
    "$BIN/vrcc" -E a.c | grep -q 'x \* 1.1' || fail "-E"
    [ "$("$BIN/vrcc" -print-prog-name=ld)" = "$("$CLANG" -print-prog-name=ld)" ] || fail "-print-prog-name"
    [ "$("$BIN/vrcc" -dumpversion)" = "$("$CLANG" -dumpversion)" ] || fail "-dumpversion"
    "$BIN/vrcc" -### -c a.c 2>&1 | grep -q '"-cc1"' || fail "-###"

    # a static library, a shared one, one object of several
    ar rc libs.a a.o
    "$BIN/vrcc" -O2 b.o -L. -ls -o with_archive
    run with_archive archive.txt VR_ROUNDING=up
    same sr.txt archive.txt
    sed 's/^double/__attribute__((visibility("default"))) double/' a.c >visible.c
    "$BIN/vrcc" -O2 -fPIC -fvisibility=hidden -shared visible.c -o libshared.so
    "$BIN/vrcc" b.o -L. -lshared -Wl,-rpath,"$PWD" -o with_shared
    run with_shared shared.txt VR_ROUNDING=up
    same sr.txt shared.txt
    "$BIN/vrcc" -r a.o b.o -o both.o && "$BIN/vrcc" both.o -o from_r
    run from_r r.txt VR_ROUNDING=up
    same sr.txt r.txt

    # failures: clang's exit code, nothing left
    echo 'int main(void) { return x; }' >bad.c
    ! "$BIN/vrcc" -c bad.c 2>bad.txt || fail "a faulty source compiles"
    grep -q "undeclared identifier 'x'" bad.txt || fail "no message"
    [ ! -e bad.o ] || fail "bad.o was left"
    ! "$BIN/vrcc" -c not-there.c 2>/dev/null || fail "a source that is not there compiles"
    ! "$BIN/vrcc" -O2 --vr-nonsense -c a.c 2>/dev/null || fail "an unknown option is taken"
    "$BIN/vrcc" -O2 -flto -c a.c -o lto.o 2>lto.txt
    grep -q 'a.c: -flto: left alone' lto.txt || fail "no word about -flto"
    "$CLANG" -O2 -c a.c -o plain.o
    "$BIN/vrcc" plain.o b.o -o mixed 2>mixed.txt
    grep -q 'plain.o: not compiled by vrcc' mixed.txt || fail "no word about a plain object"
    [ -z "$(ls -A tmp)" ] || fail "temporary files were left: $(ls -A tmp)"
    "$BIN/vrcc" -O2 "$source" -o cg -lm
}

builds() {
    cp "$here/programs/cg.c" "$here/programs/language.cc" .
    printf 'all: cg language\ncg: cg.o\n\t$(CC) $(CFLAGS) -o $@ cg.o -lm\nlanguage: language.cc\n\t$(CXX) -O2 -o $@ $< -lpthread\n' >Makefile
    make -s CC="$BIN/vrcc" CXX="$BIN/vrc++" CFLAGS=-O2
    run cg make.txt VR_ROUNDING=sr
    cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C CXX)
add_library(part SHARED cg.c)
add_executable(cmake_cg cg.c)
target_link_libraries(cmake_cg m)
add_executable(cmake_language language.cc)
find_package(Threads REQUIRED)
target_link_libraries(cmake_language Threads::Threads)
END
    "${CMAKE:?}" -S . -B build -DCMAKE_C_COMPILER="$BIN/vrcc" -DCMAKE_CXX_COMPILER="$BIN/vrc++" \
        -DCMAKE_BUILD_TYPE=Release >cmake.txt
    "$CMAKE" --build build >>cmake.txt
    run build/cmake_cg nearest.txt
    run build/cmake_cg sr.txt VR_ROUNDING=sr
    differ nearest.txt sr.txt
}

# Which functions, when the program runs; how often.
choice() {
    "$BIN/vrcc" -O2 -o cg "$here/programs/cg.c" -lm
    "$BIN/vrcc" -O2 -fno-inline -o apart "$here/programs/cg.c" -lm
    run apart nearest.txt
    run apart none.txt VR_ROUNDING=sr VR_ROUNDING_ONLY=nothing
    run apart without.txt VR_ROUNDING=sr VR_ROUNDING_EXCLUDE='*.c'
    same nearest.txt none.txt
    same nearest.txt without.txt
    run apart dot.txt VR_ROUNDING=sr VR_ROUNDING_ONLY=dot
    run apart all.txt VR_ROUNDING=sr
    differ nearest.txt dot.txt
    differ all.txt dot.txt
    env VR_ROUNDING_COUNT=1 VR_ROUNDING_ONLY=dot ./apart >counted.txt 2>counts.txt
    same nearest.txt counted.txt
    # 1 + 2 (each of the iterations) + 1 calls of 1600 products and sums
    local calls
    calls=$(sed -E 's/^([0-9]+) iterations.*/\1/' nearest.txt)
    grep -qF "dot (" counts.txt && grep -qF "mul $(((2 * calls + 2) * 1600))" counts.txt ||
        fail "counts of $calls iterations: $(cat counts.txt)"
    ! VR_ROUNDING=nonsense ./cg 2>/dev/null || fail "a mode that is none is taken"
}

# A seed repeats in the operand mode for any number of threads.
threads() {
    cat >sum.c <<'END'
#include <stdio.h>
#define N 100000
static float x[N];
int main(void)
{
#pragma omp parallel for schedule(dynamic, 100)
    for (int i = 0; i < N; i++)
        x[i] = 1.0f / (float)(i + 1) * 1.7f + 0.1f;
    unsigned hash = 0;
    for (int i = 0; i < N; i++)
        hash = hash * 31 + (unsigned)(x[i] * 1e6f);
    printf("%u\n", hash);
    return 0;
}
END
    "$BIN/vrcc" -O2 -fopenmp -o sum sum.c
    run sum 1.txt OMP_NUM_THREADS=1 VR_ROUNDING=sr
    for count in 2 3 7; do
        run sum $count.txt OMP_NUM_THREADS=$count VR_ROUNDING=sr
        same 1.txt $count.txt
    done
    run sum stream.txt OMP_NUM_THREADS=1 VR_ROUNDING=sr VR_ROUNDING_BITS=stream
    run sum stream2.txt OMP_NUM_THREADS=1 VR_ROUNDING=sr VR_ROUNDING_BITS=stream
    same stream.txt stream2.txt
    differ 1.txt stream.txt
    subnormal
}

# Each thread keeps subnormal numbers, also one that was there before anything was decided, and is the second to come.
subnormal() {
    cat >tiny.c <<'END'
#include <pthread.h>
#include <stdio.h>
static pthread_barrier_t barrier;
static volatile double tiny = 3e-310;
static double halves[2];
static void *halve(void *out)
{
    if (out == &halves[1])
        pthread_barrier_wait(&barrier);
    *(double *)out = tiny * 0.5;
    if (out == &halves[0])
        pthread_barrier_wait(&barrier);
    return NULL;
}
int main(void)
{
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, halve, &halves[i]);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("%g %g\n", halves[0], halves[1]);
    return 0;
}
END
    "$BIN/vrcc" -O2 -ffast-math -pthread -o tiny tiny.c
    run tiny tiny.txt VR_ROUNDING=up
    says tiny.txt "1.5e-310 1.5e-310"
}

# llvm_language MAJOR: the functions of operations_ir.sh as bitcode; clang warns that they name no target.
llvm_language() {
    "$here/operations_ir.sh" "$("$CLANG" -dumpversion | cut -d. -f1)" >operations_ir.ll
    "$CLANG" -w -x ir -c -emit-llvm -Xclang -disable-llvm-passes operations_ir.ll -o operations_ir.bc
}

# Each operation in all modes, for each set of options; FUSES says whether a * b + c is one operation with them.
operations() {
    local flags mode pairs=${PAIRS:-3360}
    llvm_language
    while read -r flags; do
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -I"$here" -c "$here/operations.c" -o operations.o
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -w -mf16c -Wno-unused-command-line-argument -c operations_ir.bc -o operations_ir.o
        # shellcheck disable=SC2086
        "$BIN/vrcc" $flags -mf16c --vr-instrument=arithmetic,conversion,comparison -I"$here" -I"$SOURCE/formats" \
            -c "$here/conversions.c" -o conversions.o
        # shellcheck disable=SC2086
        "$BIN/vrcc" --vr-quiet operations.o operations_ir.o conversions.o ${CHECKER:?} -o check
        for mode in sr ud up down zero rr mca; do
            VR_ROUNDING=$mode VR_SEED=5 ./check "$pairs" || fail "$flags"
        done
        for mode in nearest sr up; do
            VR_ROUNDING=$mode VR_ROUNDING_PRECISION=7 ./check "$pairs" || fail "$flags, 7 bits"
        done
        VR_ROUNDING=sr VR_ROUNDING_PRECISION=13 ./check "$pairs" || fail "$flags, 13 bits"
    done <<'END'
-O0 -DFUSES=0
-O2 -DFUSES=0
-O3 -march=x86-64-v3 -DFUSES=1
-O2 -ffp-contract=off -mfma -DFUSES=0
-O3 -march=native -ffast-math -DFUSES=0
END
}

"$part"
