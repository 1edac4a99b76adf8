#!/usr/bin/env bash
# localize_test.sh: `varanalyze localize` on programs of 200 functions that vrcc compiles. ctest sets BIN (the folder of
# vrcc and varanalyze) and SCRATCH. Exit status 77 where there is no vrcc.
set -euo pipefail
: "${BIN:?}" "${SCRATCH:?}"
if [ ! -x "$BIN/vrcc" ]; then
    echo "skipped: vrcc was not built (it needs LLVM's headers)"
    exit 77
fi
rm -rf "${SCRATCH:?}/localize"
mkdir -p "$SCRATCH/localize"
cd "$SCRATCH/localize"
for name in $(compgen -e); do
    case $name in VR_* | VRCC_* | OMP_*) unset "$name" ;; esac
done

fail() {
    echo "FAILED: $*"
    cat out err
    exit 1
}

# program NAME CAUSE...: 200 functions, all of which clang may inline where they are static. A cause is N, function N
# cancels; or N+M: functions N and M add up ten times 0.1, and the result is wrong when both sums are
# not the one that is rounded to nearest.
program() {
    local name=$1 i cause kinds=" "
    shift
    for cause; do
        case $cause in
        *+*) kinds+="${cause%+*}:sum ${cause#*+}:sum " ;;
        *) kinds+="$cause:cancel " ;;
        esac
    done
    {
        echo '#include <stdio.h>'
        for ((i = 0; i < 200; i++)); do
            echo "static double f$i(double x)"
            echo '{'
            case $kinds in
            *" $i:cancel "*) printf '    double sum = 0;\n    for (int k = 1; k < 9; k++)\n        sum += (x * k * 1e12 + 1.0 / 3) - x * k * 1e12;\n    return sum;\n' ;;
            *" $i:sum "*) printf '    double sum = 0;\n    for (int i = 0; i < 10; i++)\n        sum += x;\n    return sum;\n' ;;
            *) printf '    double y = x * 1.3 + 0.7;\n    return y / 3 + 0.25;\n' ;;
            esac
            echo '}'
        done
        echo 'int main(void)'
        echo '{'
        echo '    volatile double one = 1.1, tenth = 0.1;'
        echo '    double total = 0;'
        for ((i = 0; i < 200; i++)); do
            case $kinds in *" $i:sum "*) ;; *) echo "    total += f$i(one);" ;; esac
        done
        for cause; do
            case $cause in *+*)
                echo "    if (f${cause%+*}(tenth) != 0.99999999999999989 && f${cause#*+}(tenth) != 0.99999999999999989)"
                echo '        total += 1;'
                ;;
            esac
        done
        echo '    printf("%.17g\n", total);'
        echo '    return 0;'
        echo '}'
    } >"$name.c"
    "$BIN/vrcc" -O2 -g0 --vr-quiet -o "$name" "$name.c"
}

# line NAME FUNCTION OFFSET: a line of a function's body
line() {
    local at
    at=$(grep -n "static double f$2(" "$1.c" | cut -d: -f1)
    echo $((at + 1 + $3))
}

# localize STATUS NAME [OPTION...]
localize() {
    local wanted=$1 name=$2 status=0
    shift 2
    "$BIN/varanalyze" localize "$@" --folder "$name.d" -- "./$name" >out 2>err || status=$?
    [ $status = "$wanted" ] || fail "$name: exit status $status, not $wanted"
    runs=$(sed -n '1s/.* in \([0-9,]*\) runs.*/\1/p' out)
}

says() {
    grep -qF -- "$1" out || fail "it does not say '$1'"
}

program one 137
localize 1 one
says "rounding in \`f137\` (one.c:$(line one 137 3)"
says 'alone leaves'
[ "$runs" -lt 60 ] || fail "$runs runs for one function among 200"
sed -n 's/^    \(VR_ROUNDING=.*\)/\1/p' out >repeat
bash -c "$(cat repeat) ./one" >rounded
./one >nearest
! cmp -s rounded nearest || fail "the run that is named shows nothing: $(cat repeat)"

program none
localize 0 none
says 'stable: rounding in all functions'

program two 20 150
localize 1 two
says "rounding in \`f20\` (two.c:$(line two 20 3)"
says "rounding in \`f150\` (two.c:$(line two 150 3)"

program both 33+120
localize 1 both
grep -qE 'rounding in `f(33|120)` .* and `f(33|120)` .* together leaves' out || fail 'the pair is not found'
says "both.c:$(line both 33 3)"
says "both.c:$(line both 120 3)"

# A function, and a harmless one of the same name in a file of that name in another folder.
cancelling='double sum = 0; for (int k = 1; k < 9; k++) sum += (x * k * 1e12 + 1.0 / 3) - x * k * 1e12; return sum;'
mkdir -p other "in [a], b"
echo "static double f(double x) { $cancelling } double first(double x) { return f(x); }" >sum.c
echo 'static double f(double x) { return x * 1.3 + 0.7; } double second(double x) { return f(x); }' >other/sum.c
cat >main.c <<'END'
#include <stdio.h>
double first(double), second(double);
int main(void)
{
    volatile double one = 1.1;
    printf("%.17g %.17g\n", first(one), second(one));
    return 0;
}
END
"$BIN/vrcc" -O2 --vr-quiet -o namesakes main.c sum.c other/sum.c
localize 1 namesakes
[ "$(grep -c ' alone leaves ' out)" = 1 ] || fail 'a namesake is taken for the function'
says 'VR_ROUNDING_ONLY=./sum.c:f'

# The run that is named can be repeated by a shell, where names have blanks and brackets, and with no seed but the one that is named: this
# function is stable in half of them.
echo "static double f(double x) { return (x * 1e12 + 1.0 / 3) - x * 1e12; } double first(double x) { return f(x); }" >sum.c
mv sum.c "in [a], b/sum.c"
"$BIN/vrcc" -O2 --vr-quiet -o blanks main.c "in [a], b/sum.c" other/sum.c
./blanks >nearest
for seed in 11 21 31 41 51; do
    localize 1 blanks --seed $seed
    rm -r blanks.d
    sh -c "$(sed -n 's/^    VR_ROUNDING=/&/p' out) ./blanks" >rounded || fail 'what is to repeat a run is no command'
    ! cmp -s rounded nearest || fail "the run that is named shows nothing with --seed $seed"
done
