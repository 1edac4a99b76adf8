#!/usr/bin/env bash
# dropin_test.sh PART: vrcc in clang's place: command lines, linking, build systems, and what goes wrong. See prelude.sh
# for the variables.
part=$1
# shellcheck source=tests/vrcc/prelude.sh
. "${SOURCE:?}/tests/vrcc/prelude.sh"
vrcc=$BIN/vrcc

cat >a.c <<'END'
double scaled(double x) { return x * 1.1 + 0.3; }
END
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
"$CLANG" -O2 a.c b.c -o plain && ./plain >plain.txt
"$vrcc" -O2 a.c b.c -o whole && VR_ROUNDING=up ./whole >up.txt
differ plain.txt up.txt

# works PROGRAM: it rounds as it is told; partly PROGRAM: some of it does; unmoved PROGRAM: nothing does
works() {
    run "$1" nearest.txt
    run "$1" rounded.txt VR_ROUNDING=up
    same plain.txt nearest.txt
    same up.txt rounded.txt
}
unmoved() {
    run "$1" rounded.txt VR_ROUNDING=up
    same plain.txt rounded.txt
}
is_marked() { grep -q '\.vrcc' <<<"$(readelf -SW "$1")" || fail "$1 is not instrumented"; }

# links OPTION...: a whole program by one command, without a word that clang does not say
links() {
    "$CLANG" -O2 "$@" a.c b.c -o theirs >theirs.txt 2>&1 || {
        echo "$*: clang cannot do it here"
        return
    }
    ./theirs >/dev/null 2>&1 || return 0
    "$vrcc" -O2 "$@" a.c b.c -o linked >ours.txt 2>&1 || fail "$*: $(cat ours.txt)"
    same theirs.txt ours.txt
    works linked
}

options() {
    local option target
    for option in -static -no-pie "-static-pie -fPIE" -pipe -g -pg --coverage -march=native -Ofast -Oz \
        -fno-integrated-as "-ffunction-sections -fdata-sections -Wl,--gc-sections" -save-temps "-Werror -Wall -Wextra" \
        "-fprofile-instr-generate -fcoverage-mapping" "-D_FORTIFY_SOURCE=2 -fstack-protector-all -fcf-protection" \
        "-Wl,--fatal-warnings" -finstrument-functions-after-inlining -fopenmp -fsanitize=address,undefined \
        -fsanitize=thread -fuse-ld=gold -fuse-ld=lld; do
        # shellcheck disable=SC2086 # a list of options
        links $option
    done

    # Other processors: with a runtime of their own they could be linked. What has no pointers of 64 bits is left alone.
    for target in aarch64-linux-gnu riscv64-linux-gnu; do
        "$vrcc" -O2 --target=$target -c a.c -o other.o
        is_marked other.o
    done
    for target in i386-linux-gnu armv7-linux-gnueabihf x86_64-w64-mingw32 x86_64-apple-darwin; do
        "$vrcc" -O2 --target=$target -c a.c -o other.o 2>said.txt
        grep -q '^vrcc: warning: a.c: .*: left alone' said.txt || fail "no word about $target: $(cat said.txt)"
        "$vrcc" -O2 --vr-quiet --target=$target -c a.c -o other.o 2>said.txt
        silent said.txt
    done
}

# The files that are asked for, under the names that are asked for.
files() {
    local odd="sp ace's \"q\" \$x"
    "$vrcc" -O2 -MD -MF deps.d -MT goal -c a.c && grep -q '^goal: a.c' deps.d || fail "-MD -MF -MT"
    "$vrcc" -MM a.c >deps.txt && says deps.txt "a.o: a.c"
    "$vrcc" -O2 -MJ database.json -c a.c '-DX="y"'
    says database.json '"file": "a.c", "output": "a.o"'
    says database.json '"-DX=\"y\""'
    "$vrcc" -O2 -c a.c b.c && works_from a.o b.o
    "$vrcc" -w -O2 $'-DX="y\nz"' -c a.c && works_from a.o b.o
    "$vrcc" -w -O2 $'-DX="y\nz"' a.c b.c -o lines && works lines
    "$vrcc" -O2 -x c - -S -o - <a.c >stdout.s && says stdout.s scaled.vrcc
    "$vrcc" -O2 -c a.c -o - | cmp - a.o || fail "-c -o -"
    "$vrcc" -O2 -save-temps=obj -c a.c -o saved.o && is_marked saved.o
    "$vrcc" -O2 -Xclang -disable-llvm-passes -c a.c -o raw.o && is_marked raw.o
    "$vrcc" -O2 -emit-llvm -c a.c -o a.bc 2>said.txt && says said.txt "a.c: bitcode: left alone"
    "$vrcc" -O2 -c a.bc -o from_bc.o && is_marked from_bc.o
    "$vrcc" -O2 -g -gsplit-dwarf -c a.c -o split.o && [ -e split.dwo ] || fail "-gsplit-dwarf"
    "$vrcc" -O2 -fsave-optimization-record -c a.c && [ -e a.opt.yaml ] || fail "-fsave-optimization-record"
    mkdir "$odd"
    cp a.c b.c "$odd"
    "$vrcc" -O2 -MMD "$odd/a.c" "$odd/b.c" -o "$odd/out put" && works "$odd/out put"
    TMPDIR=$PWD/$odd "$vrcc" -O2 a.c b.c -o from_odd && works from_odd
    [ -z "$(find "$odd" -name 'vrcc-*')" ] || fail "files were left in $odd"
    TMPDIR=/not/there "$vrcc" -O2 a.c b.c -o elsewhere && works elsewhere
    # the same source, the same object
    for i in 1 2 3; do "$vrcc" -O3 -march=native -c "$here/programs/fft.c" -o fft$i.o; done
    same fft1.o fft2.o
    same fft1.o fft3.o
    # more words than a process can be started with
    { echo -O2; seq -f '-DA_NAME_THAT_FILLS_A_LINE_TO_MAKE_IT_LONG_%06g=1' 60000; echo a.c b.c -o long; } >response.txt
    "$vrcc" @response.txt && works long
    [ -z "$(ls -A tmp)" ] || fail "temporary files were left: $(ls -A tmp)"
}

works_from() { "$vrcc" "$@" -o from 2>said.txt && silent said.txt && works from; }

# What clang says of itself.
answers() {
    local question
    for question in --version -dumpmachine -dumpversion -print-search-dirs -print-prog-name=ld -print-multi-lib \
        -print-file-name=libc.a -print-resource-dir "-E a.c" "-dM -E -x c /dev/null" "-### -O2 -c a.c" \
        "-fsyntax-only a.c" not-there.c "-c a.c not-there.c" "" -c "--no-such-option a.c"; do
        # shellcheck disable=SC2086 # a list of options
        "$vrcc" $question >ours.txt 2>&1 && echo 0 >>ours.txt || echo "$?" >>ours.txt
        # shellcheck disable=SC2086
        "$CLANG" $question >theirs.txt 2>&1 && echo 0 >>theirs.txt || echo "$?" >>theirs.txt
        same theirs.txt ours.txt
    done
    # -v: CMake and libtool read it. Names of temporary files differ, and the code generator is one step more.
    local rest='s#/[^ ]*/[ab]-[0-9a-f]*\.o#OBJECT#g;/^clang -cc1 version/d'
    "$vrcc" -v -O2 a.c b.c -o v 2>&1 | sed "$rest" >ours.txt
    "$CLANG" -v -O2 a.c b.c -o v 2>&1 | sed "$rest" >theirs.txt
    same theirs.txt ours.txt
    "$vrcc" --vr-version >1.txt
    VRCC_FLAGS=--vr-exclude=x "$vrcc" --vr-version >2.txt
    differ 1.txt 2.txt
}

linking() {
    local word
    "$vrcc" -O2 -c a.c b.c
    ar rc libs.a a.o
    for word in "b.o -L. -ls" "b.o -lc -L. -ls" "-static b.o -lc -L. -ls" \
        "b.o -Wl,--whole-archive libs.a -Wl,--no-whole-archive" "-Wl,--start-group b.o -L . -l:libs.a -Wl,--end-group"; do
        # shellcheck disable=SC2086 # a list of words
        works_from $word
    done
    "$vrcc" -O2 -shared -fPIC -Wl,-z,defs a.c -o libshared.so 2>said.txt
    works_from b.o -L. -lshared "-Wl,-rpath,$PWD"
    "$vrcc" -nostdlib -r a.o b.o -o both.o
    works_from both.o
    "$vrcc" -O2 -nostdlib -shared -fPIC a.c -o libfree.so

    # What was compiled by another compiler is named, wherever it is.
    "$CLANG" -O2 -fPIC -c a.c -o an_object_with_a_name_of_some_length.o
    "$CLANG" -shared an_object_with_a_name_of_some_length.o -o libplain.so
    mkdir -p sub/crt
    cp an_object_with_a_name_of_some_length.o sub/crt/crtmath.o
    ar rc sub/libold.a an_object_with_a_name_of_some_length.o
    (cd sub && ar rcT libthin.a ../an_object_with_a_name_of_some_length.o)
    printf '\t.globl g\ng:\tret\n\t.section .note.GNU-stack,"",@progbits\n' >code.s
    while read -r word said; do
        # shellcheck disable=SC2086
        "$vrcc" ${word//,/ } b.o -L. -Lsub "-Wl,-rpath,$PWD" -o mixed 2>said.txt
        says said.txt "vrcc: warning: $said: not compiled by vrcc"
        [ "$(grep -c warning said.txt)" = 1 ] || fail "more than a warning: $(cat said.txt)"
        # shellcheck disable=SC2086
        "$vrcc" --vr-quiet ${word//,/ } b.o -L. -Lsub "-Wl,-rpath,$PWD" -o mixed 2>said.txt
        silent said.txt
    done <<'END'
an_object_with_a_name_of_some_length.o an_object_with_a_name_of_some_length.o
sub/crt/crtmath.o sub/crt/crtmath.o
b.o,sub/libold.a,-z,muldefs sub/libold.a(an_object_with_a_name_of_some_length.o)
b.o,sub/libthin.a,-z,muldefs sub/../an_object_with_a_name_of_some_length.o
b.o,-z,muldefs,-lold sub/libold.a(an_object_with_a_name_of_some_length.o)
b.o,-z,muldefs,-l:libplain.so ./libplain.so
./libplain.so ./libplain.so
a.o,code.s code.s
END
    "$vrcc" -r b.o an_object_with_a_name_of_some_length.o -o both.o 2>said.txt
    says said.txt "an_object_with_a_name_of_some_length.o: not compiled by vrcc"
    "$vrcc" -O2 -flto -fuse-ld=gold a.c b.c -o lto 2>said.txt || true
    [ "$(grep -c 'vrcc: warning' said.txt)" = 2 ] || fail "not one word for each file under -flto: $(cat said.txt)"
    # Libraries of the system are not spoken of.
    "$vrcc" a.o b.o -lm "$("$CLANG" -print-file-name=libm.so)" "$("$CLANG" -print-file-name=libpthread.a)" -o fine \
        2>said.txt
    silent said.txt
}

languages() {
    local plus=$BIN/vrc++
    echo 'inline double scaled(double x) { return x * 1.1 + 0.3; }' >scaled.hh
    sed 's/^double scaled.*//; s/<stdio.h>/"scaled.hh"\n#include <stdio.h>/' b.c >b.cc
    "$plus" -O2 b.cc -o plus && works plus
    sed -i '1d' b.cc
    "$plus" -O2 -x c++-header scaled.hh -o scaled.pch
    "$plus" -O2 -include-pch scaled.pch b.cc -o pch && works pch
    "$plus" -O2 -include scaled.hh b.cc -o included && works included
    mkdir module
    cp scaled.hh module/scaled.h
    echo 'module Scaled { header "scaled.h" export * }' >module/module.modulemap
    sed '1i #include "scaled.h"' b.cc >modules.cc
    "$plus" -O2 -fmodules -fcxx-modules -fmodules-cache-path=cache -Imodule modules.cc -o modules && works modules
    echo 'export module scaled; export double scaled(double x) { return x * 1.1 + 0.3; }' >scaled.cppm
    sed '1i import scaled;' b.cc >import.cc
    "$plus" -std=c++20 -O2 --precompile scaled.cppm -o scaled.pcm
    "$plus" -std=c++20 -O2 -c scaled.pcm -o scaled.o && is_marked scaled.o
    "$plus" -std=c++20 -O2 -fprebuilt-module-path=. import.cc scaled.o -o import && works import
    # Constructors of one body are aliases of one another; line numbers must not be in their way.
    cat >pair.cc <<'END'
struct pair { double a; pair(double); ~pair(); };
pair::pair(double x) : a(x * 1.1) {}
pair::~pair() { a /= 3; }
END
    "$plus" -O2 -g -c pair.cc && "$plus" -O2 --vr-report=report.txt -c pair.cc && says report.txt "100.0%"
    printf '\t.globl g\ng:\tret\n' >code.s
    cp code.s code2.S
    "$vrcc" -c code.s -o 1.o && "$vrcc" -DX -c code2.S -o 2.o
}

# A clang of another version: never a success.
another_clang() {
    local own other
    own=$("$CLANG" -dumpversion)
    for other in 14 15 16 17 18 19 20; do
        [ "$other" != "${own%%.*}" ] && command -v clang-$other >found.txt || continue
        ! VRCC_CLANG=clang-$other "$vrcc" -O2 -c b.c -o other.o 2>said.txt || fail "clang $other"
        says said.txt error
        [ "${own%%.*}" -gt "$other" ] || says said.txt "another clang was driven?"
    done
}

# What is faulty is said once, with clang's exit code, and leaves nothing behind.
trouble() {
    local number process
    echo 'int main(void) { int unused; return 0; }' >warn.c
    for number in "" -Werror -Wno-such-warning; do
        "$vrcc" -Wall $number -O2 -c warn.c -o warn.o >ours.txt 2>&1 && echo 0 >>ours.txt || echo "$?" >>ours.txt
        "$CLANG" -Wall $number -O2 -c warn.c -o warn.o >theirs.txt 2>&1 && echo 0 >>theirs.txt || echo "$?" >>theirs.txt
        same theirs.txt ours.txt
    done
    echo 'int f(void) { __asm__("nonsense"); return 0; }' >bad.c
    ! "$vrcc" -O2 -c bad.c -o bad.o 2>said.txt || fail "nonsense is assembled"
    [ "$(grep -c 'error: invalid instruction' said.txt)" = 1 ] && [ ! -e bad.o ] || fail "$(cat said.txt)"
    # An old output is gone, as with clang: make would take it for a new one.
    for number in "-c bad.c -o old" "-S undeclared.c -o old" "-c undeclared.c -o old" "--vr-only=@none -c a.c -o old" \
        "--vr-only=@none -S a.c -o old"; do
        echo 'int f(void) { return x; }' >undeclared.c
        touch old
        # shellcheck disable=SC2086 # a list of words
        ! "$vrcc" $number 2>said.txt || fail "$number: no error"
        [ ! -e old ] || fail "$number: the old output is still there"
    done
    ! "$vrcc" -c undeclared.c -o /dev/null 2>said.txt && [ -c /dev/null ] || fail "/dev/null"
    another_clang
    ! "$vrcc" -c a.c -o /not/there.o 2>/dev/null || fail "a file in a folder that is not there"
    ! "$vrcc" a.c -o half 2>said.txt || fail "a program without main"
    ! VRCC_CLANG=/not/there "$vrcc" -c a.c 2>said.txt || fail "no clang"
    [ "$(grep -c /not/there said.txt)" = 1 ] || fail "not said once: $(cat said.txt)"

    # Six at once, with one report.
    for number in 1 2 3 4 5 6; do "$vrcc" -O2 --vr-report=report.txt -c a.c -o "$number.o" & done
    wait
    same 1.o 6.o
    [ "$(grep -c 'operations instrumented' report.txt)" = 6 ] || fail "reports: $(cat report.txt)"

    for number in {1..300}; do
        echo "double f$number(double *x, int n) { double s = 0;"
        echo "for (int i = 0; i < n; i++) s += x[i] / (s + $number); return s; }"
    done >large.c
    for number in TERM HUP; do
        "$vrcc" -O3 -c large.c -o large.o &
        process=$!
        sleep 0.3
        kill -$number $process
        wait $process && fail "SIG$number is not noticed" || [ $? -gt 128 ] || fail "SIG$number: exit code $?"
        [ ! -e large.o ] || fail "SIG$number left an object"
        [ -z "$(ls -A tmp)" ] || fail "SIG$number left temporary files: $(ls -A tmp)"
    done
}

# CMake: what it finds out of a compiler has to be what it finds out of clang, and its dependencies have to hold.
with_cmake() {
    local generator name
    cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C CXX)
include(CheckCCompilerFlag)
check_c_compiler_flag(-Wall HAS_WALL)
check_c_compiler_flag(-Wnonsense HAS_NONSENSE)
try_compile(TRIED ${PROJECT_BINARY_DIR}/tried SOURCES ${PROJECT_SOURCE_DIR}/b.c
    ${PROJECT_SOURCE_DIR}/a.c)
foreach(word C_COMPILER_ID C_COMPILER_VERSION C_IMPLICIT_LINK_LIBRARIES C_IMPLICIT_LINK_DIRECTORIES
        CXX_IMPLICIT_LINK_LIBRARIES C_IMPLICIT_INCLUDE_DIRECTORIES C_COMPILE_FEATURES CXX_COMPILER_ID)
    file(APPEND ${PROJECT_BINARY_DIR}/found.txt "${word} ${CMAKE_${word}}\n")
endforeach()
file(APPEND ${PROJECT_BINARY_DIR}/found.txt "${HAS_WALL} ${HAS_NONSENSE} ${TRIED}\n")
add_library(archive STATIC a.c)
target_precompile_headers(archive PRIVATE a.h)
add_library(shared SHARED a.c)
add_executable(with_archive b.c)
target_link_libraries(with_archive archive)
add_executable(with_shared b.c)
target_link_libraries(with_shared shared)
END
    echo '#include <math.h>' >a.h
    name=$(dirname "$(readlink -f "$CLANG")")
    for generator in Ninja "Unix Makefiles"; do
        [ "$generator" != Ninja ] || command -v ninja >/dev/null || continue
        rm -rf theirs ours
        "${CMAKE:?}" -G "$generator" -S . -B theirs -DCMAKE_C_COMPILER="$name/clang" \
            -DCMAKE_CXX_COMPILER="$name/clang++" >theirs.txt 2>&1
        "$CMAKE" -G "$generator" -S . -B ours -DCMAKE_C_COMPILER="$vrcc" -DCMAKE_CXX_COMPILER="$BIN/vrc++" \
            -DCMAKE_BUILD_TYPE=Release >ours.txt 2>&1
        same theirs/found.txt ours/found.txt
        "$CMAKE" --build ours >build.txt 2>&1
        ! grep -i warning build.txt || fail "warnings"
        works ours/with_archive
        works ours/with_shared
        sleep 1
        touch a.h
        "$CMAKE" --build ours >again.txt 2>&1
        grep -qE 'Building C object .*archive' again.txt || fail "$generator: a changed header is not noticed"
        "$CMAKE" --build ours >again.txt 2>&1
        ! grep Building again.txt || fail "$generator: built twice"
    done
}

with_autotools() {
    command -v autoreconf >/dev/null && command -v libtoolize >/dev/null || skip "no autoconf, automake and libtool"
    cat >configure.ac <<'END'
AC_INIT([user],[1])
AM_INIT_AUTOMAKE([foreign])
AC_PROG_CC
AC_PROG_CXX
AM_PROG_AR
LT_INIT
AC_CHECK_LIB([m],[sqrt])
AC_CHECK_SIZEOF([long])
AC_OPENMP
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
END
    cat >Makefile.am <<'END'
lib_LTLIBRARIES = libpart.la
libpart_la_SOURCES = a.c
noinst_LTLIBRARIES = libinner.la
libinner_la_SOURCES = a.c
bin_PROGRAMS = outer inner
outer_SOURCES = b.c
outer_LDADD = libpart.la
inner_SOURCES = b.c
inner_LDADD = libinner.la
END
    autoreconf -i >autoreconf.txt 2>&1 || skip "autoreconf does not work here"
    mkdir theirs ours
    local name
    name=$(dirname "$(readlink -f "$CLANG")")
    (cd theirs && ../configure CC="$name/clang" CXX="$name/clang++" >configure.txt 2>&1)
    (cd ours && ../configure CC="$vrcc" CXX="$BIN/vrc++" >configure.txt 2>&1)
    same <(sed "s#$name/clang#CC#g; s#CC++#CXX#g" theirs/libtool) <(sed "s#$BIN/vrc++#CXX#g; s#$vrcc#CC#g" ours/libtool)
    make -s -C ours CFLAGS=-O2 >make.txt 2>&1
    ! grep -i warning make.txt || fail "warnings"
    works ours/outer
    works ours/inner
}

with_meson() {
    command -v meson >/dev/null && command -v ninja >/dev/null || skip "no meson and ninja"
    cat >meson.build <<'END'
project('user', 'c', 'cpp', default_options: ['buildtype=release'])
cc = meson.get_compiler('c')
assert(cc.get_id() == 'clang' and cc.has_argument('-Wall') and not cc.has_argument('-fnonsense'))
executable('with_archive', 'b.c', link_with: static_library('archive', 'a.c'))
executable('with_shared', 'b.c', link_with: shared_library('shared', 'a.c'))
END
    CC=$vrcc CXX=$BIN/vrc++ meson setup build >setup.txt 2>&1 || fail "$(cat setup.txt)"
    ninja -C build >build.txt 2>&1
    ! grep -i warning build.txt || fail "warnings"
    works build/with_archive
    works build/with_shared
    # meson makes thin archives, whose members are looked at, too
    CC=$CLANG meson setup thin >setup.txt 2>&1
    ninja -C thin libarchive.a >build.txt 2>&1
    "$vrcc" b.c thin/libarchive.a -o mixed 2>said.txt
    says said.txt "not compiled by vrcc"
}

# A cache in front sees neither VRCC_FLAGS nor vrcc's files unless it asks for --vr-version.
with_ccache() {
    command -v ccache >/dev/null || skip "no ccache"
    export CCACHE_DIR=$PWD/cache CCACHE_COMPILERCHECK="%compiler% --vr-version"
    ccache "$vrcc" -O2 -c a.c
    is_marked a.o
    cp a.o first.o
    ccache "$vrcc" -O2 -c a.c
    same first.o a.o
    ccache --print-stats 2>/dev/null | grep -qE '^(direct|preprocessed)_cache_hit[[:space:]]+1$' || fail "no hit"
    VRCC_FLAGS="--vr-exclude=*" ccache "$vrcc" -O2 -c a.c
    differ first.o a.o
    ccache "$vrcc" -O2 -g -MD -c b.c
    ccache "$vrcc" first.o b.o -o cached && works cached
}

"$part"
