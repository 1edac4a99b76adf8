#!/usr/bin/env bash
# debian_packages.sh BIN CLANG SCRATCH [PACKAGE...]: builds packages of Debian's, unmodified, with CLANG and with
# BIN/vrcc, and runs the same programs of theirs with both. To nearest all that they print has to be the same; then
# comes stochastic rounding with seven seeds, and up-down rounding, and what fails is told. Ends with rows for the table
# in docs/vrcc.md; SCRATCH keeps all logs. By hand, since it needs the network and many minutes. Needs apt-get, make,
# cmake, BLAS, and for gsl some patience.
set -euo pipefail
bin=$(cd "$1" && pwd)
clang=$(readlink -f "$(command -v "$2")")
mkdir -p "$3"
scratch=$(cd "$3" && pwd)
shift 3
packages=(kissfft cminpack liblinear libsvm bc lua5.4 qhull nlopt gsl)
[ $# -gt 0 ] || set -- "${packages[@]}"
modes=(nearest sr-1 sr-2 sr-3 sr-4 sr-5 sr-6 sr-7 ud)
jobs=${JOBS:-2}
for name in $(compgen -e); do
    case $name in VR_* | VRCC_*) unset "$name" ;; esac
done

sources() { find "$scratch" -maxdepth 1 -name "$1_*.orig.tar.*" ! -name '*.asc'; }

# The sources' list is one of our own; the system's stays as it is.
fetch() {
    local apt=$scratch/apt package=$1 tree
    mkdir -p "$apt/lists/partial"
    echo "deb-src http://deb.debian.org/debian bookworm main" >"$apt/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
                   -o "Dir::State::lists=$apt/lists" -o APT::Sandbox::User=root)
    [ -n "$(ls "$apt"/lists/*Sources* 2>/dev/null)" ] || apt-get "${options[@]}" update >/dev/null
    (cd "$scratch" && apt-get "${options[@]}" source --download-only "$package" >/dev/null 2>&1) || true
    [ -n "$(sources "$package")" ] || { echo "$package: no sources" >&2; return 1; }
    for tree in clang vrcc; do
        rm -rf "${scratch:?}/$tree/$package"
        mkdir -p "$scratch/$tree/$package"
        tar -C "$scratch/$tree/$package" --strip-components=1 -xf "$(sources "$package")"
    done
}

# build NAME, check NAME: in the package's folder, with CC and CXX.
build() {
    case $1 in
    kissfft)
        make KISSFFT_TOOLS=0 KISSFFT_STATIC=1 all
        make -C test KISSFFT_DATATYPE=float TYPEFLAGS=-Dkiss_fft_scalar=float KISSFFTLIB_SHORTNAME=kissfft-float \
            st-float tr-float tkfc-float fastfilt-float
        ;;
    cminpack)
        cmake -S . -B build -DUSE_BLAS=OFF -DBUILD_EXAMPLES=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS=-w
        cmake --build build -j "$jobs"
        ;;
    libsvm) make -j "$jobs" CXX="$CXX" CC="$CC" CFLAGS="-O3 -fPIC -w" all ;;
    liblinear) # Debian's has no BLAS of its own
        for part in linear tron; do $CXX -O3 -w -c $part.cpp; done
        for part in train predict; do $CXX -O3 -w $part.c linear.o tron.o -lblas -o $part; done
        ;;
    lua5.4) make -j "$jobs" -C src CC="$CC -std=gnu99" linux ;;
    qhull)
        mkdir -p bin lib
        make -j "$jobs" CC="$CC" CXX="$CXX" bin/rbox bin/qconvex bin/qdelaunay bin/qvoronoi
        ;;
    nlopt)
        cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DNLOPT_PYTHON=OFF -DNLOPT_OCTAVE=OFF -DNLOPT_MATLAB=OFF \
            -DNLOPT_GUILE=OFF -DNLOPT_SWIG=OFF -DNLOPT_TESTS=ON
        cmake --build build -j "$jobs"
        ;;
    gsl) # with what the tests below need
        ./configure --disable-shared --disable-dependency-tracking
        for part in gsl utils sys err test const ieee-utils complex block vector matrix permutation cblas blas poly \
            roots fft; do
            make -j "$jobs" -C $part
        done
        ;;
    bc) # without its manual
        ./configure --disable-shared --disable-dependency-tracking && make -j "$jobs" MAKEINFO=true ;;
    esac
}

# try NAME COMMAND...: what it prints, and how it ended.
try() {
    local name=$1 status=0
    shift
    timeout 600 "$@" 2>&1 || status=$?
    echo "== $name: exit code $status"
}

# try_all FOLDER PATTERN: each program there.
try_all() {
    local program
    for program in "$1"/$2; do
        [ -f "$program" ] && [ -x "$program" ] || continue
        try "${program##*/}" "$program" </dev/null
    done
}

check_gsl() {
    local part
    export GSL_TEST_VERBOSE=1
    for part in cblas blas poly roots fft; do
        make -C "$part" -k check >/dev/null 2>&1
        cat "$part"/test*.log
        sed -n 's/^:test-result: \(.*\)/\1/p' "$part"/test*.trs | sort | uniq -c |
            awk -v part="$part" '$2 != "PASS" { print "== " part ": exit code 1"; bad = 1 }
                                 END { if (!bad) print "== " part ": exit code 0" }'
    done
}

check_lua() {
    try numbers src/lua -e 'local s = 0 for i = 1, 200000 do s = s + math.sqrt(i) / (i + 0.1) end
                            print(string.format("%.17g", s))'
    try for src/lua -e 'local n = 0 for x = 0, 1, 0.125 do n = n + 1 end assert(n == 9) print(n)'
    try tostring src/lua -e 'for i = 1, 1000 do assert(tonumber(tostring(i / 8)) == i / 8) end'
    try modulo src/lua -e 'for i = 1, 1000 do assert((i + 0.5) % 1 == 0.5) end'
    try strings src/lua -e 'local t = {} for i = 1, 20000 do t[i] = ("%05d"):format(i * 7919 % 20011) end
                            table.sort(t) print(table.concat(t, ","))'
}

check_qhull() {
    local dimension
    for dimension in 2 3 4 5; do
        bin/rbox 300 "D$dimension" t7 >points
        cat points
        try "convex $dimension" bin/qconvex n Fx FS TI points
        try "delaunay $dimension" bin/qdelaunay i TI points
        try "voronoi $dimension" bin/qvoronoi p TI points
    done
    bin/rbox c D4 >points
    try cube bin/qconvex n Tv TI points
}

# One training run each of C-SVC, nu-SVR, and what liblinear has.
check_svm() {
    local kind
    case $1 in
    libsvm)
        for kind in "-s 0" "-s 1 -t 1" "-s 3 -t 2" "-s 4 -t 3"; do
            # shellcheck disable=SC2086 # a list of options
            try "train $kind" ./svm-train -q $kind heart_scale model
            cat model
            try "predict $kind" ./svm-predict heart_scale model predicted
            cat predicted
        done
        ;;
    liblinear)
        for kind in 0 1 2 3 4 5 6 7 11 12 13; do
            try "train $kind" ./train -q -s $kind heart_scale model
            cat model
            try "predict $kind" ./predict heart_scale model predicted
            cat predicted
        done
        ;;
    esac
}

check_bc() {
    local test
    for test in array arrayp aryprm div exp fact jn ln mul raise sine sqrt sqrt1 sqrt2 testfn; do
        case $test in
        atan | exp | jn | ln | sine) try "$test" bc/bc -l "Test/$test.b" </dev/null ;;
        *) try "$test" bc/bc "Test/$test.b" </dev/null ;;
        esac
    done
}

check_nlopt() {
    local algorithm object
    for algorithm in {0..29}; do
        [ "$algorithm" = 10 ] || for object in 0 1 5 9; do
            try "algorithm $algorithm, object $object" build/test/testopt -r 1 -e 2000 -a "$algorithm" -o "$object"
        done
    done
}

check() {
    case $1 in
    kissfft)
        try st-float test/st-float
        try tr-float test/tr-float
        try tkfc-float test/tkfc-float
        awk 'BEGIN { for (i = 0; i < 16384; i++) printf "%c%c", 32 + i * 7 % 90, 60 + i % 5 }' | head -c 32768 >input
        try fft-1024 test/fastfilt-float -n 1024 input output
        od -An -tx4 output
        ;;
    cminpack) try_all build/examples "t*[c_]" ;;
    lua5.4) check_lua ;;
    libsvm | liblinear) check_svm "$1" ;;
    *) "check_$1" ;;
    esac
}

# What differs from run to run: times, and what kissfft's test of real transforms makes of numbers drawn by the clock.
stable() {
    sed -E -e 's/[0-9.]+(e-?[0-9]+)? (s|secs?|seconds|msec|ms|us|Mb)\b/TIME/g' -e 's/[Tt]ime:? *[0-9.e+-]+/TIME/g' \
        -e 's/\(?[0-9.]+ Mb.*\)?|[0-9]+ bytes/MEMORY/' -e 's/ took .*//' \
        -e 's/(nfft=120.*snr=).*/\1RANDOM/' -e '/CPU|real-time|^(Total )?[Ee]lapsed|secs/d' "$1"
}

# cpu NAME COMMAND...: runs a command of this file, its output in SCRATCH/NAME.txt; its seconds of processor time in
# `seconds`.
seconds=0
cpu() {
    local log=$scratch/$1.txt status=0 TIMEFORMAT='%U %S'
    shift
    { time { ("$@") >"$log" 2>&1 </dev/null || status=$?; }; } 2>"$scratch/time"
    seconds=$(tail -n 1 "$scratch/time" | awk '{ print $1 + $2 }')
    return $status
}

in_tree() {
    cd "$scratch/$1/$2" || return
    case $1 in
    clang) CC=$clang CXX=$clang++ ;;
    vrcc) CC=$bin/vrcc CXX=$bin/vrc++ ;;
    esac
    export CC CXX
    "$3" "$2"
}

failures() { grep -cE '^== .*exit code [1-9]' "$1" || true; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b >= 0.05) printf "%.1f", a / b; else printf "-" }'; }

# run_modes PACKAGE PLAIN_SECONDS: prints the row's right half.
run_modes() {
    local package=$1 plain=$2 mode log nearest="" sr="" ud="" failed base all slow="-" near="-"
    base=$(failures "$scratch/$package.clang.txt")
    all=$(grep -c '^== .*exit code' "$scratch/$package.clang.txt" || true)
    for mode in "${modes[@]}"; do
        log=$scratch/$package.$mode.txt
        VR_ROUNDING=${mode%-*} VR_SEED=${mode#*-}
        case $VR_SEED in *[!0-9]*) VR_SEED=1 ;; esac
        export VR_ROUNDING VR_SEED
        cpu "$package.$mode" in_tree vrcc "$package" check || true
        unset VR_ROUNDING VR_SEED
        failed=$(failures "$log")
        case $mode in
        nearest)
            nearest=identical near=$(ratio "$seconds" "$plain")
            diff <(stable "$scratch/$package.clang.txt") <(stable "$log") >"$scratch/$package.diff" || nearest=DIFFERENT
            [ "$base" != "$all" ] || nearest="nothing runs"
            ;;
        sr-*)
            sr="$sr $failed" slow=$(ratio "$seconds" "$plain")
            cmp -s <(stable "$scratch/$package.nearest.txt") <(stable "$log") && sr="$sr(same)" ;;
        ud) ud=$failed ;;
        esac
    done
    echo "$nearest | $base of $all |$sr | $ud | $near | $slow |"
}

one() {
    local package=$1 version built plain covered
    fetch "$package" || return 0
    version=$(find "$scratch" -maxdepth 1 -name "${package}_*.dsc" -printf '%f' | sed 's/.*_\(.*\)\.dsc/\1/')
    cpu "$package.build-clang" in_tree clang "$package" build || {
        echo "| $package | clang does not build it"
        return
    }
    built=$seconds
    rm -f "$scratch/$package.report"
    export VRCC_FLAGS="--vr-report=$scratch/$package.report"
    cpu "$package.build-vrcc" in_tree vrcc "$package" build || {
        unset VRCC_FLAGS
        echo "| $package | vrcc does not build it"
        return
    }
    unset VRCC_FLAGS
    built=$(ratio "$seconds" "$built")
    covered=$(sed -nE 's/.*: ([0-9]+) of ([0-9]+) operations instrumented.*/\1 \2/p' "$scratch/$package.report" \
        2>/dev/null | awk '{ done += $1; all += $2 } END { printf "%d of %d", done, all }')
    cpu "$package.clang" in_tree clang "$package" check || true
    plain=$seconds
    echo "| $package $version | $covered | $built | $(run_modes "$package" "$plain")"
}

echo "| package | instrumented | compile time | nearest | failing: clang | sr, 7 seeds | ud | time: nearest | sr |"
for package; do one "$package"; done
