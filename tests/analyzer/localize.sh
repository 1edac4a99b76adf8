#!/usr/bin/env bash
# `varanalyze localize` with a program that behaves as if vrcc had compiled it (localize_child.c):
#
#   localize.sh BIN SCRATCH [TEST...]
#
# BIN is the folder of varanalyze and localize_child; everything is written below SCRATCH, which is emptied first. Prints what is wrong.
set -uo pipefail
export LC_ALL=C TERM=dumb
bin=$(cd "$1" && pwd)
PATH=$bin:$PATH
rm -rf "$2"
mkdir -p "$2"
cd "$2" || exit 1
for name in $(compgen -e); do
    case $name in VR_* | OMP_* | GOMP_* | KMP_*) unset "$name" ;; esac
done
wrong=0

complain() {
    echo "${FUNCNAME[1]}: $*"
    wrong=1
}

# expect STATUS COMMAND...: its output in files out and err.
expect() {
    local wanted=$1 status=0
    shift
    "$@" >out 2>err </dev/null || status=$?
    [ $status = "$wanted" ] && return
    echo "${FUNCNAME[1]}: '$*' ended with $status, not $wanted"
    cat out err
    wrong=1
}

# says FILE TEXT
says() {
    grep -qF -- "$2" "$1" && return
    echo "${FUNCNAME[1]}: $1 does not say '$2':"
    cat "$1"
    wrong=1
}

# The runs of the program, as it counts them itself.
runs() {
    wc -c <"$1"
}

# search STATUS CAUSE...: among 200 functions; a folder of its own
number=0
search() {
    local status=$1
    shift
    number=$((number + 1))
    expect "$status" varanalyze localize --folder "search$number" -- localize_child "log=log$number" 200 "$@"
}

finds_one() {
    for function in 0 77 199; do
        search 1 "$function"
        says out "rounding in \`f$function\` (mock.c:$((10 * function + 2))) alone leaves 10.0 of 52 bits"
        says out 'rounding in all other functions leaves 42.'
        says out "VR_ROUNDING_ONLY=mock.c:f$function"
        [ "$(runs "log$number")" -lt 60 ] || complain "f$function took $(runs "log$number") runs"
        says out "in $(runs "log$number") runs"
    done
    search 1 77/4
    says out "VR_ROUNDING=sr VR_SEED=4 VR_ROUNDING_ONLY=mock.c:f77"
    says out '1 of 5 runs are unstable'
}

finds_several() {
    search 0
    says out 'stable: rounding in all functions leaves 42.'
    [ "$(runs "log$number")" = 8 ] || complain "$(runs "log$number") runs of what is stable"
    search 1 20 150/2
    says out "rounding in \`f20\` (mock.c:202) alone"
    says out "rounding in \`f150\` (mock.c:1502) alone"
    search 1 20+150
    says out "rounding in \`f150\` (mock.c:1502) and \`f20\` (mock.c:202) together leaves 10.0 of 52 bits"
    search 1 3 20+150
    says out 'together leaves 10.0'
    says out "rounding in \`f3\` (mock.c:32) alone"
    expect 1 varanalyze localize --folder all -- localize_child 4 0 1 2 3
    [ "$(grep -c ' alone leaves ' out)" = 4 ] || complain 'not all of four are found'
    expect 1 varanalyze localize --folder only --level function -- localize_child 1 0
    says out "rounding in \`f0\` (mock.c:1-3) alone"
}

# A run that does not end as the reference is unstable.
finds_ends() {
    search 1 60=crash
    says out 'killed by signal 11'
    says out 'fails'
    search 1 60=exit
    says out 'exit status 4: the solver did not converge'
    search 1 60=text
    says out 'standard output has other text'
    search 1 60=nan
    says out 'nan in place of 0.333'
    expect 1 varanalyze localize -j 4 --timeout 0.3 --folder hang -- localize_child 8 5=hang
    says out 'timed out'
    says out 'f5'
}

prints_reports() {
    expect 1 varanalyze localize -j 1 --folder reports -f json -- localize_child 20 3 7+9
    says out '"stable": false'
    says out '"function": "f7"'
    cp out first.json
    for jobs in 1 2 5; do # only the number of runs may differ
        expect 1 varanalyze localize -j $jobs --folder "reports$jobs" -f json -- localize_child 20 3 7+9
        diff <(grep -v '^  "runs"' first.json) <(grep -v '^  "runs"' out) || complain "-j $jobs finds something else"
    done
    expect 1 varanalyze localize --resume reports -f csv -o report.csv
    says report.csv '1,mock.c,f'
    [ "$(wc -l <report.csv)" = 4 ] || complain "rows: $(cat report.csv)"
    if command -v gnuplot >/dev/null; then
        expect 1 varanalyze localize --resume reports --plot bits.svg
        says bits.svg f7
    fi
    expect 1 varanalyze localize --resume reports -v
    grep -q '^run' err && complain 'runs were made again'
    # another threshold needs other runs at most
    expect 0 varanalyze localize --resume reports --at-least 8
    says out 'fewer than 8 bits'
}

files() {
    expect 1 varanalyze localize --output '*.txt' --folder text -- localize_child 'out={}/x.txt' 30 11
    says out 'f11'
    says out 'x.txt, line 1'
    expect 1 varanalyze localize --output '*.txt' --folder gone -- localize_child 'out={}/x.txt' 30 11=files
    says out 'it left 0 files, the reference 1'
    expect 1 varanalyze localize --output '*.txt' --folder more -- sh -c \
        'localize_child "out=$0/x.txt" 30 11=text >"$0/said"; [ ! -s "$0/said" ] || cp "$0/said" "$0/y.txt"' {}
    says out 'it left 2 files, the reference 1'
    expect 2 varanalyze localize --output '*.txt' --folder nowhere -- localize_child 30 11
    says err "'{}' in it stands for the folder"
    [ -z "$(ls nowhere/runs.scratch 2>/dev/null)" ] || complain 'something is left of runs'
}

arrays() {
    expect 1 varanalyze localize --output y --type f32 --folder array -- localize_child 'raw={}/y' 30 11
    says out '10.0 of 23 bits'
    says out 'y, element 1'
    expect 0 varanalyze localize --output y --type f32 --at-least 9.5 --folder array -- localize_child 'raw={}/y' 30 11
    expect 2 varanalyze localize --output y --type i32 --folder no -- localize_child 'raw={}/y' 30
    says err 'no type of floating-point numbers'
}

checks() {
    expect 1 varanalyze localize --check 'cmp -n 12 "$VR_REFERENCE_FOLDER/out" "$VR_LOCALIZE_FOLDER/out" >&2' --folder check \
        -- localize_child 30 11=nan 12
    says out 'f11'
    grep -q f12 out && complain 'f12 passes the check'
    expect 2 varanalyze localize --check 'exit 3' --folder broken -- localize_child 30
    says err 'the check '
    says err 'exit status 3'
    expect 2 varanalyze localize --check true --at-least 3 -- localize_child 30
}

refuses() {
    expect 2 varanalyze localize
    says err 'name the command'
    expect 2 varanalyze localize ./nothing-there
    says err 'no such program'
    [ -e localize.d ] && complain 'a folder was made for nothing'
    expect 2 varanalyze localize --folder drift localize_child drifts 5
    says err 'not deterministic by itself'
    expect 2 varanalyze localize --folder plain echo 1.5
    says err 'was it compiled by vrcc'
    expect 2 varanalyze localize --folder uncounted localize_child uncounted 5
    says err 'was it compiled by vrcc'
    expect 2 varanalyze localize --folder deaf localize_child deaf 5 3
    says err 'no function is rounded'
    expect 2 varanalyze localize --folder silent true
    says err 'there is no number in standard output'
    expect 2 varanalyze localize --folder crashed sh -c 'kill -9 $$'
    says err 'fails without any noise'
    expect 2 varanalyze localize --rounding nearest localize_child 5
    expect 2 varanalyze localize --env VR_ROUNDING_ONLY=x localize_child 5
    says err 'VR_ROUNDING_EXCLUDE'
    expect 2 varanalyze localize --samples 0 localize_child 5
    expect 2 varanalyze localize --resume nothing
    expect 2 varanalyze localize --resume drift --seed 3
    says err 'no --seed with it'
}

other_folders() {
    mkdir -p mine && echo precious >mine/file
    expect 2 varanalyze localize --folder mine localize_child 5
    says err 'holds other things than a search'
    [ "$(cat mine/file)" = precious ] || complain 'a file is gone'
    [ "$(ls mine)" = file ] || complain "things were left: $(ls mine)"
    cp "$bin/localize_child" ./child
    expect 1 varanalyze localize --folder one ./child 5 3
    expect 2 varanalyze localize --folder one ./child 5 2
    says err 'holds another search: its command'
    expect 2 varanalyze localize --folder one --seed 5 ./child 5 3
    says err 'its seed'
    echo >>./child
    expect 2 varanalyze localize --folder one ./child 5 3
    says err "'./child' has changed since"
    expect 2 varanalyze localize --resume one
    : >empty
    expect 2 varanalyze localize --folder empty localize_child 5
}

# How many more runs a search needs.
goes_on() {
    expect 1 varanalyze localize --folder whole -- localize_child log=whole.log 100 42 3+70
    mv out whole.out
    expect 1 varanalyze localize --folder whole -- localize_child log=whole.log 100 42 3+70
    cmp out whole.out || complain 'the report is another'
    local before
    before=$(runs whole.log)
    expect 1 varanalyze localize --resume whole
    [ "$(runs whole.log)" = "$before" ] || complain 'runs were made again'
    # from another folder
    (cd / && varanalyze localize --resume "$OLDPWD/whole") >out 2>err || [ $? = 1 ] || complain "$(cat err)"
    cmp out whole.out || complain 'the report is another elsewhere'
    [ "$(ls whole | tr '\n' ' ')" = 'counts.tsv localize.json reference runs.jsonl ' ] || complain "left: $(ls whole)"
}

# Killed again and again, at any moment: no run that was finished is made again, and nothing goes on behind its back.
killed() {
    local jobs=2 tries=0 status=1 search
    expect 1 varanalyze localize -j $jobs --folder calm -- localize_child 100 42
    mv out calm.out
    RANDOM=7
    while [ $tries -lt 60 ]; do
        tries=$((tries + 1))
        varanalyze localize -j $jobs --folder killed -- localize_child log=killed.log sleep=20 100 42 >out 2>err &
        search=$!
        sleep "0.$((RANDOM % 25 + 10))"
        kill -"$([ $((tries % 3)) = 0 ] && echo TERM || echo KILL)" $search 2>/dev/null
        wait $search 2>/dev/null
        status=$?
        [ $status = 1 ] && break
        [ $status -gt 128 ] || complain "it ended with $status: $(cat err)"
    done
    [ $status = 1 ] || complain 'it never came to an end'
    [ $tries -gt 2 ] || complain 'it was not killed in time'
    diff <(tail -n +2 calm.out) <(tail -n +2 out) || complain 'it found something else'
    # Each time it is killed, at most the runs under way are lost, and the reference's two.
    local least
    least=$(sed -n '1s/.* in \([0-9]*\) runs.*/\1/p' out)
    [ "$(runs killed.log)" -le $((least + tries * jobs + 4)) ] || complain "$(runs killed.log) runs for $least, killed $tries times"
}

two_at_once() {
    varanalyze localize --folder busy -- localize_child sleep=300 20 3 >/dev/null 2>&1 &
    local search=$!
    for _ in $(seq 100); do [ -e busy/localize.json ] && break || sleep 0.05; done
    expect 2 varanalyze localize --folder busy -- localize_child sleep=300 20 3
    says err 'another varanalyze'
    kill -INT $search
    kill $search
    wait $search 2>/dev/null
    [ -e busy/runs.scratch ] && complain 'the scratch folder is left'
    true
}

# What a run writes is cut off where the disk is full: no result of the program.
full_disk() {
    local mount='mount -t tmpfs -o size=512k none full && exec "$@"'
    mkdir full
    unshare -rm sh -c "$mount" - true 2>/dev/null || return 0 # a small disk cannot be had
    expect 2 unshare -rm sh -c "$mount" - varanalyze localize --folder full/search -- \
        sh -c '[ "$VR_ROUNDING" = nearest ] || cat /dev/zero >full/filler 2>/dev/null; exec localize_child 20 3'
    says err 'no room for what a run writes'
}

# The line that repeats a run is one for a shell, with the variables that were given.
repeats() {
    expect 1 varanalyze localize --folder repeated --env "VR_ROUNDING_BITS=a b" -- localize_child 20 3
    says out "    VR_ROUNDING=sr VR_SEED=1 VR_ROUNDING_BITS='a b' VR_ROUNDING_ONLY=mock.c:f3"
}

# What is no UTF-8 is told the same way when it comes from the folder.
tells_bytes() {
    expect 1 varanalyze localize --folder bytes -f json -- sh -c "localize_child 20 3=text | sed 's/steps/st\xe9ps/'"
    says out 'st?ps'
    mv out bytes.json
    expect 1 varanalyze localize --resume bytes -f json
    cmp out bytes.json || complain 'the report is another'
}

if [ $# -gt 2 ]; then
    shift 2
    for test; do "$test"; done
else
    for test in finds_one finds_several finds_ends prints_reports files arrays checks refuses other_folders full_disk goes_on repeats tells_bytes killed two_at_once; do
        $test
    done
fi
exit $wrong
