#!/usr/bin/env bash
# From a bare machine to a working varanalyze: see usage below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'END'
usage: ./bootstrap.sh demo | study | test | bench | install [--prefix DIR] | help

Installs what is missing (with apt-get on Debian and Ubuntu; elsewhere it says what to install) and builds in
build/release, then

  demo     trains a small network three times and compares the runs; the traces are left in demo/
  study    trains 40 small networks under four conditions and says how far apart they land; traces, tables and pictures
           are left in study/ (some minutes; docs/study.md)
  test     builds and runs all tests; the last line is 'N passed, N failed'
  bench    builds and runs all benchmarks
  install  installs libraries, headers, manual and the programs under DIR (default /usr/local)

vrcc is built where there are clang and LLVM's headers of the same version (Debian and Ubuntu: clang, llvm-dev). test
installs these; the other tasks take them when they are there.
END
}

die() {
    printf 'bootstrap.sh: %s\n' "$*" >&2
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# quietly WHAT COMMAND...: shows WHAT, and what the command had to say only when it fails.
quietly() {
    local what=$1 log=build/bootstrap.log
    shift
    mkdir -p build
    : >"$log" || die "cannot write to build/"
    printf '%s\n' "$what ..."
    "$@" >"$log" 2>&1 </dev/null || {
        tail -n 200 "$log" >&2
        die "$what: failed (whole log: $log)"
    }
}

packages=(gcc cmake ninja-build pkg-config libhdf5-dev libxxhash-dev libarchive-dev libdeflate-dev libjansson-dev
          libgsl-dev librandom123-dev zlib1g-dev gnuplot-nox)
packages_test=(libcmocka-dev libmpfr-dev xxhash g++ hdf5-tools gzip bzip2 xz-utils zstd lz4 clang llvm-dev libomp-dev)
packages_bench=(hdf5-tools libopenblas-dev)

install_packages() {
    local missing=() package
    for package; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        die "neither root nor sudo; as root, run: apt-get install ${missing[*]}"
    quietly "updating the package lists" as_root apt-get update
    quietly "installing ${missing[*]}" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
}

# The same without apt: one line for each thing that is not there.
check_by_hand() {
    local absent=()
    tool() { command -v "$1" >/dev/null || absent+=("$2"); }
    module() { pkg-config --exists "$1" 2>/dev/null || absent+=("$2 (pkg-config module $1)"); }
    header() {
        printf '#include <stddef.h>\n#include <stdio.h>\n#include <%s>\n' "$1" | "${CC:-cc}" -E - >/dev/null 2>&1 ||
            absent+=("$2 (header $1)")
    }

    tool "${CC:-cc}" "GCC 11 or later: https://gcc.gnu.org, or Clang 14 or later: https://llvm.org"
    tool cmake "CMake 3.22 or later: https://cmake.org"
    tool ninja "Ninja: https://ninja-build.org"
    tool pkg-config "pkg-config or pkgconf: https://www.freedesktop.org/wiki/Software/pkg-config"
    tool gnuplot "gnuplot 5 or later: http://www.gnuplot.info"
    module hdf5 "HDF5 1.10 or later, the serial C library: https://www.hdfgroup.org/solutions/hdf5"
    module libxxhash "xxHash 0.8 or later: https://xxhash.com"
    module libarchive "libarchive 3: https://libarchive.org"
    module libdeflate "libdeflate 1.5 or later: https://github.com/ebiggers/libdeflate"
    module jansson "Jansson 2.13 or later: https://github.com/akheron/jansson"
    module gsl "GSL 2: https://www.gnu.org/software/gsl"
    module zlib "zlib: https://zlib.net"
    header Random123/philox.h "Random123 1.09 or later: https://github.com/DEShawResearch/random123"
    case $1 in
    test)
        module cmocka "cmocka 1.1 or later: https://cmocka.org"
        header mpfr.h "GNU MPFR 4 and GMP: https://www.mpfr.org"
        tool xxhsum "xxhsum, of xxHash: https://xxhash.com"
        tool c++ "a C++ compiler, g++ or clang++: https://gcc.gnu.org"
        tool gzip "gzip: https://www.gnu.org/software/gzip"
        tool bzip2 "bzip2: https://sourceware.org/bzip2"
        tool xz "xz, of XZ Utils: https://tukaani.org/xz"
        tool zstd "zstd: https://facebook.github.io/zstd"
        tool lz4 "lz4: https://lz4.org"
        tool clang "Clang 14 or later with LLVM's headers and libomp, for vrcc: https://llvm.org"
        ;;
    bench) tool h5dump "h5dump, of the HDF5 tools: https://www.hdfgroup.org/solutions/hdf5" ;;
    esac
    [ ${#absent[@]} = 0 ] || {
        printf '  %s\n' "${absent[@]}" >&2
        die "there is no apt-get here: install what is listed above by hand, then run this again"
    }
}

prepare() {
    if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
        case $1 in
        test) packages+=("${packages_test[@]}") ;;
        bench) packages+=("${packages_bench[@]}") ;;
        esac
        install_packages "${packages[@]}"
    else
        check_by_hand "$1"
    fi
}

# build [-DOPTION=VALUE...]
build() {
    quietly "configuring build/release" cmake --preset release "$@"
    sed -n 's/^-- \(vrcc: .*\)/  \1/p' build/bootstrap.log
    quietly "building with $(nproc) jobs" cmake --build --preset release --parallel "$(nproc)"
}

# show WHAT COMMAND: a command as one would type it, after a line on what it is for. Returns the command's exit code.
show() {
    printf '\n# %s\n$ %s\n' "$1" "$2"
    bash -c "$2"
}

demo() {
    local bin=build/release/bin same=0 different=0
    prepare demo
    build -DVR_TESTS=OFF -DVR_BENCH=OFF
    mkdir -p demo
    rm -f demo/run[123].h5 demo/run[123].h5.journal

    show "Train a network on handwritten digits and record every tensor." \
        "VR_TRACE=demo/run1.h5 VR_SEED=1 $bin/digits --epochs 3"
    show "Once more: the same seed, but the samples in another order." \
        "VR_TRACE=demo/run2.h5 VR_SEED=1 VR_VARY=order VR_REPLICA=1 $bin/digits --epochs 3"
    show "And once more, with nothing changed since the first." \
        "VR_TRACE=demo/run3.h5 VR_SEED=1 $bin/digits --epochs 3"
    show "What is in a trace?" "$bin/varanalyze info demo/run1.h5"
    show "Where do the first two runs part, and why?" "$bin/varanalyze diff demo/run1.h5 demo/run2.h5" || different=$?
    show "Are the first and the third the same?" "$bin/varanalyze diff demo/run1.h5 demo/run3.h5" || same=$?

    printf '\nexit codes: %s for the runs in another order (1: different), %s for the repeated run (0: the same)\n' \
        $different $same
    [ $different$same = 10 ] || die "the exit codes should have been 1 and 0"
}

# Four conditions of ten runs each, and what they say. One run at a time, so that its threads have all cores: atomic
# additions differ where threads meet. A large step size makes small differences grow within a few hundred steps.
study() {
    local bin=build/release/bin status=0 flips
    prepare study
    build -DVR_TESTS=OFF -DVR_BENCH=OFF
    mkdir -p study
    rm -f study/runs.tar
    show "Train 40 networks: initialization, order and shifts of the images vary, the kernels, both, or nothing." \
        "OMP_WAIT_POLICY=passive $bin/varanalyze run -n 10 --condition algo-impl:init,order,shift,kernels \\
    --condition algo:init,order,shift --condition impl:kernels --condition control: --kernels atomic \\
    --env OMP_NUM_THREADS=4 --filter 'metric:*=stats,weight:*=projection/18,*=off' -o study/runs.tar \\
    $bin/digits --quiet --epochs 6 --batch 16 --optimizer momentum --lr 0.1"
    show "How far apart do they land?" "$bin/varanalyze study --plots study study/runs.tar" || status=$?
    show "All tables, and the same as data." \
        "$bin/varanalyze study --all -o study/study.txt study/runs.tar &&
  $bin/varanalyze study -f csv -o study/study.csv study/runs.tar &&
  $bin/varanalyze study -f json -o study/study.json study/runs.tar && ls study" || status=$?
    [ $status = 0 ] || die "the runs of Control should have been bit-identical, and all of them readable"
    flips=$(sed -n 's/^churn,IMPL,,,churn,\([^,]*\),.*/\1/p' study/study.csv)
    case $flips in
    '' | 0) die "the runs of IMPL should have differed: are there two cores?" ;;
    esac
}

# Runs the tests and closes with how many passed, failed and were skipped. ctest counts the skipped as passed.
run_tests() {
    local log=build/test.log status=0 total failed skipped
    ctest --preset release --no-tests=error --parallel "$(nproc)" 2>&1 | tee "$log" || status=$?
    total=$(sed -n 's/.*tests passed, .* out of \([0-9]*\)$/\1/p' "$log")
    failed=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of .*/\1/p' "$log")
    skipped=$(grep -cE '^\s*[0-9]+ - .* \((Skipped|Disabled)\)$' "$log" || true)
    printf '\n%d passed, %d failed' $((${total:-0} - ${failed:-0} - skipped)) "${failed:-0}"
    [ "$skipped" = 0 ] || printf ', %d skipped' "$skipped"
    printf '\n'
    return $status
}

bench() {
    local program
    prepare bench
    build -DVR_TESTS=OFF -DVR_BENCH=ON
    for program in build/release/bin/bench_*; do
        [ -x "$program" ] || die "no benchmark was built"
        printf '\n$ %s\n' "$program"
        "$program"
    done
}

install_to() {
    local prefix existing run=()
    prefix=$(realpath -m "$1")
    prepare install
    build -DVR_TESTS=OFF -DVR_BENCH=OFF -DCMAKE_INSTALL_PREFIX="$prefix"
    existing=$prefix
    while [ ! -e "$existing" ]; do existing=$(dirname "$existing"); done
    [ -w "$existing" ] || run=(as_root)
    quietly "installing to $prefix" "${run[@]}" cmake --install build/release
    case $prefix in
    /usr | /usr/local) as_root ldconfig ;;
    *)
        printf 'to build against it: export PKG_CONFIG_PATH=%s CMAKE_PREFIX_PATH=%s\n' \
            "$(dirname "$(find "$prefix" -name varanalyze-capture.pc)")" "$prefix"
        ;;
    esac
}

task=${1:-help}
[ $# = 0 ] || shift
prefix=/usr/local
while [ $# -gt 0 ]; do
    case $task:$1 in
    install:--prefix) [ $# -ge 2 ] || die "--prefix: which directory?"; prefix=$2; shift 2 ;;
    install:--prefix=?*) prefix=${1#--prefix=}; shift ;;
    *) usage >&2; die "$task does not take $1" ;;
    esac
done
case $task in
demo | study | bench) "$task" ;;
test)
    prepare test
    build -DVR_TESTS=ON
    run_tests
    ;;
install) install_to "$prefix" ;;
help | -h | --help) usage ;;
*) usage >&2; die "no task is called $task" ;;
esac
