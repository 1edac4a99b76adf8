#!/usr/bin/env bash
# Campaigns of programs that misbehave, in places that do, run by `varanalyze run`:
#
#   run_campaign.sh BIN SCRATCH
#
# BIN is the folder of varanalyze and campaign_child; everything is written below SCRATCH, which is emptied first. Prints what is wrong.
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

member() {
    tar -xOf "$1" "$2"
}

# field ARCHIVE RUN KEY: of the last record of a run, as it is written.
field() {
    member "$1" "$2.json" | sed -nE 's/^  "'"$3"'": (.*[^,]),?$/\1/p' | tail -n 1
}

# is ARCHIVE RUN KEY VALUE
is() {
    local there
    there=$(field "$1" "$2" "$3")
    [ "$there" = "$4" ] && return
    echo "${FUNCNAME[1]}: $2: $3 is '$there', not '$4'"
    wrong=1
}

alive() {
    case $(sed -E 's/.*\) (.).*/\1/' "/proc/$1/stat" 2>/dev/null) in '' | Z) return 1 ;; esac
}

timeouts() {
    expect 1 varanalyze run -n 2 -j 2 --timeout 1.5 -o timeouts.tar -- sh -c '[ $VR_REPLICA = 1 ] || sleep 60'
    is timeouts.tar run-0001 timed_out false
    is timeouts.tar run-0002 timed_out true
    is timeouts.tar run-0002 signal 15
    says out 'run-0002: timed out'
    expect 1 varanalyze run -n 1 --timeout 1 -o group.tar -- \
        sh -c 'sh -c "trap \"echo tidied; exit\" TERM; while :; do sleep 0.05; done" & trap "wait; exit 3" TERM; wait'
    [ "$(member group.tar run-0001.out)" = tidied ] || complain 'the processes of the run were not told'
    local waits=(sh -c 'case $VR_REPLICA in 2) sleep 60 ;; 3) sleep 1.3 ;; esac')
    expect 0 varanalyze run -n 1 --timeout 1 -o kept.tar -- "${waits[@]}"
    expect 1 varanalyze run -n 2 -o kept.tar -- "${waits[@]}"
    is kept.tar run-0002 timed_out true
    expect 1 varanalyze run --resume kept.tar -n 3 --timeout 30
    is kept.tar run-0003 timed_out false
}

ignores_sigterm() {
    expect 1 varanalyze run -n 1 --timeout 1 -o ignores.tar -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    is ignores.tar run-0001 signal 9
    is ignores.tar run-0001 timed_out true
}

# A daemon with a session of its own, and its parent gone, keeps the output open.
leaves_a_daemon() {
    local pid
    expect 0 timeout 30 varanalyze run -n 1 -o daemon.tar -- \
        sh -c 'setsid sh -c "echo \$\$ >daemon.pid; trap \"\" TERM; while :; do sleep 0.1; done" & while [ ! -s daemon.pid ]; do sleep 0.05; done; echo done'
    pid=$(cat daemon.pid)
    ! alive "$pid" || complain "the daemon $pid still lives"
    [ "$(field daemon.tar run-0001 left_running)" -ge 1 ] || complain 'nobody was left running'
    [ "$(member daemon.tar run-0001.out)" = "done" ] || complain 'the output is not there'
}

# Also what has left the session dies with the program that is killed by SIGKILL.
killed_with_a_daemon() {
    local driver pid
    varanalyze run -n 1 -o orphan.tar -- \
        sh -c 'setsid sh -c "echo \$\$ >orphan.pid; while :; do sleep 0.1; done" & sleep 60' >out 2>err &
    driver=$!
    for _ in $(seq 200); do [ -s orphan.pid ] && break || sleep 0.05; done
    pid=$(cat orphan.pid)
    kill -KILL $driver
    wait $driver 2>/dev/null
    for _ in $(seq 100); do alive "$pid" || break; sleep 0.05; done
    ! alive "$pid" || complain "process $pid outlived the campaign"
}

# As a batch system ends a job: all its processes are told, in any order. The run has not failed by that. On a machine that is busy the
# second may be told too late: one time of three is enough.
all_are_told_to_stop() {
    local driver first try
    for first in job keeper; do
        for try in 1 2 3; do
            rm -f job.pid keeper.pid
            varanalyze run -n 2 -o $first-$try.tar -- sh -c 'echo $$ >job.pid; echo $PPID >keeper.pid; exec sleep 60' >out 2>err &
            driver=$!
            for _ in $(seq 200); do [ -s keeper.pid ] && break || sleep 0.05; done
            kill -TERM "$(cat $first.pid)"
            sleep 0.05
            kill -TERM $driver
            wait $driver && complain 'it went on'
            grep -qF '0 of 2 runs done' err && continue 2
        done
        complain "$first: $(cat err)"
    done
}

# The second signal does not wait for a run that takes its time.
told_twice() {
    local driver
    varanalyze run -n 1 -o twice.tar -- sh -c 'trap "" TERM; echo >twice.log; while :; do sleep 0.1; done' >out 2>err &
    driver=$!
    for _ in $(seq 200); do [ -s twice.log ] && break || sleep 0.05; done
    SECONDS=0
    kill -TERM $driver
    sleep 0.2
    kill -TERM $driver
    wait $driver && complain 'it went on'
    [ $SECONDS -lt 4 ] || complain "it took $SECONDS s"
    says err '0 of 1 run done'
}

# What was ignored when it was started, as nohup has it, does not end it.
ignored_signals() {
    local driver
    (trap '' HUP INT && exec varanalyze run -n 3 -o ignored.tar -- sh -c 'echo >>ignored.log; sleep 0.2' >out 2>err) &
    driver=$!
    for _ in $(seq 200); do [ -s ignored.log ] && break || sleep 0.05; done
    kill -HUP $driver
    kill -INT $driver
    wait $driver || complain "it ended with $?: $(cat err)"
    says out '3 of 3 runs done, 0 failed'
    local signals=(grep -E '^Sig(Blk|Ign):' /proc/self/status)
    (trap '' INT TERM PIPE && exec varanalyze run -n 1 -o signals.tar "${signals[@]}" >out 2>err)
    member signals.tar run-0001.out | cmp - <(trap '' INT TERM PIPE && exec "${signals[@]}") ||
        complain "a run has other signals blocked or ignored: $(member signals.tar run-0001.out)"
}

# The terminal or pipe that varanalyze reads from is not the runs'.
no_input() {
    echo words | varanalyze run -n 1 -o input.tar cat >out 2>err || complain "$(cat err)"
    is input.tar run-0001 output_bytes 0
}

# Time and memory are those of the run and its processes, not of who watches over it.
measures() {
    expect 0 varanalyze run -n 1 -o measures.tar -- \
        sh -c 'head -c 60000000 /dev/zero | tail -c 60000000 >/dev/null; i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; sleep 0.3'
    awk -v user="$(field measures.tar run-0001 user_seconds)" -v all="$(field measures.tar run-0001 seconds)" \
        -v bytes="$(field measures.tar run-0001 peak_bytes)" 'BEGIN { exit !(user > 0.01 && all > 0.3 && bytes > 60000000) }' ||
        complain "$(member measures.tar run-0001.json)"
}

# What ends by itself soon after the command is not ended, however many processes that are.
ends_by_itself() {
    expect 0 varanalyze run -n 5 -o soon.tar -- sh -c 'sleep 0.005 & sleep 0.01 & sleep 0.015 & exit 0'
    for i in 1 2 3 4 5; do field soon.tar run-000$i left_running; done | grep -x 0 >many || complain 'all runs were cut short'
}

# The last line of standard error is what it is: binary, long, in the middle of a character.
odd_errors() {
    expect 1 varanalyze run -n 5 -o errors.tar -- sh -c 'case $VR_REPLICA in
        1) head -c 300 /dev/zero | tr "\0" "\200" ;;
        2) echo first; head -c 5000 /dev/zero | tr "\0" "\277" ;;
        3) printf "x%.0s" $(seq 198); printf "\303\251tail\n\n" ;;
        4) printf "\033[31mred\n" ;;
        5) printf "\302\205\302\233 31mred\302\240\303\237\n" ;; esac >&2; exit 7'
    for i in 1 2 3 4 5; do is errors.tar run-000$i exit_status 7; done
    for i in 1 2; do is errors.tar run-000$i error_line "\"$(printf '?%.0s' $(seq 196))\""; done
    is errors.tar run-0003 error_line "\"$(printf 'x%.0s' $(seq 198))\""
    is errors.tar run-0004 error_line '"?[31mred"'
    is errors.tar run-0005 error_line $'"?? 31mred\302\240\303\237"'
}

much_output() {
    expect 0 varanalyze run -n 1 -o much.tar -- sh -c 'head -c 70000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo "last words" >&2'
    is much.tar run-0001 output_bytes 67108864
    says out 'run-0001: standard output was cut at 64 MiB'
    is much.tar run-0001 error_bytes 3000011
    [ "$(member much.tar run-0001.out | wc -c)" = 67108864 ] || complain 'the output was not cut at 64 MiB'
    [ "$(member much.tar run-0001.err | wc -c)" = 3000011 ] || complain 'the errors were cut'
    rm much.tar
}

odd_names() {
    local folder=$'odd \'na"me\n\\é' archive=$'ru ns\'.tar' script
    mkdir -p "$folder"
    (
        cd "$folder" || exit 1
        printf '#!/bin/sh\nprintf "%%s|" "$@"\nexec campaign_child log 0 >/dev/null\n' >"a 'child'"
        chmod +x "a 'child'"
        expect 0 varanalyze run -n 1 --vary init --env $'X=1 \'2\n3' -o "$archive" -- "./a 'child'" '' $'\xff\xfe' 'a b' "it's" $'\n'
        [ "$(member "$archive" run-0001.out | od -An -tx1 | tr -d ' \n')" = 7cfffe7c6120627c697427737c0a7c ] ||
            complain 'the arguments did not arrive as they are'
        expect 0 varanalyze info "$archive:run-0001.h5"
        cd / || exit 1
        expect 0 varanalyze run --resume "$OLDPWD/$archive" -n 2
        member "$OLDPWD/$archive" run-0002.out | cmp - <(member "$OLDPWD/$archive" run-0001.out) ||
            complain 'other arguments after resuming'
        cd "$OLDPWD" || exit 1
        script=$(varanalyze run --resume "$archive" -n 3 --dry-run)
        bash -c "$script" >pasted 2>&1 || complain "$script"
        [ -s run-0003.h5 ] || complain 'the pasted line wrote no trace'
        cp "a 'child'" lr=0.1
        script=$(varanalyze run -n 1 -o equals.tar --dry-run -- lr=0.1 2>&1) && complain 'lr=0.1 is in no folder of PATH'
        script=$(varanalyze run -n 1 -o equals.tar --dry-run -- ./lr=0.1 'a b')
        [ "$(bash -c "$script" 2>&1)" = 'a b|' ] || complain "$script"
        exit $wrong
    ) || wrong=1
}

another_folder() {
    mkdir -p here there
    printf '#!/bin/sh\npwd\n' >here/program
    chmod +x here/program
    (cd here && expect 0 varanalyze run -n 1 -o ../there/runs.tar ./program; exit $wrong) || wrong=1
    (cd there && expect 0 varanalyze run --resume runs.tar -n 2; exit $wrong) || wrong=1
    [ "$(member there/runs.tar run-0002.out)" = "$PWD/here" ] || complain 'it did not run where the campaign began'
    mv here elsewhere
    expect 2 varanalyze run --resume there/runs.tar -n 3
    says err "$PWD/here: the campaign runs there"
    (cd elsewhere && expect 2 varanalyze run -n 2 -o ../there/runs.tar ./program; exit $wrong) || wrong=1
    says elsewhere/err 'its directory is'
}

other_archives() {
    local sum
    for what in tar text empty; do
        case $what in
        tar) echo x >file && tar -cf foreign file ;;
        text) echo 'not an archive' >foreign ;;
        empty) : >foreign ;;
        esac
        sum=$(md5sum foreign)
        expect 2 varanalyze run -n 1 -o foreign true
        [ "$sum" = "$(md5sum foreign)" ] || complain "$what: it was changed"
        [ ! -e foreign.scratch ] || complain "$what: scratch is left"
    done
    expect 2 varanalyze run -n 1 -o runs.tar.zst true
    expect 2 varanalyze run -n 1 -o runs.tgz true
    expect 0 varanalyze run -n 1 -o plain.tar true
    gzip -c plain.tar >zipped.tar
    expect 2 varanalyze run -n 2 -o zipped.tar true
    says err 'decompress it first'
    expect 1 varanalyze run -n 2 --condition a:init --condition b:order -o whole.tar -- sh -c '[ $VR_VARY$VR_REPLICA != init2 ]'
    mkdir parts
    tar -xf whole.tar -C parts
    sed -i 's/"runs": 2/"runs": 1/' parts/campaign.json
    tar -C parts -cf fewer.tar campaign.json b-0001.json a-0001.json a-0002.json # one that it does not have
    expect 0 varanalyze run --resume fewer.tar
    says out '2 of 2 runs done, 0 failed'
    head -c 700 plain.tar >cut.tar
    expect 2 varanalyze run -n 2 -o cut.tar true
    mkdir folder
    expect 2 varanalyze run -n 1 -o folder true
    expect 2 varanalyze run -n 1 -o nowhere/runs.tar true
    says err 'no folder'
    echo mine >run-0002.out
    expect 0 varanalyze archive append plain.tar run-0002.out
    expect 2 varanalyze run -n 2 -o plain.tar true
    says err 'run-0002.out'
    [ "$(member plain.tar run-0002.out)" = mine ] || complain 'a member by others was replaced'
}

# The summary never takes the archive's place, and has one itself before the first run begins.
report_in_the_way() {
    mkdir -p links
    ln -s "$PWD" links/back
    for report in report.tar ./report.tar links/back/report.tar; do
        expect 2 varanalyze run -n 1 -o report.tar --report "$report" true
        says err 'that is the archive'
        [ ! -e report.tar ] || complain 'an archive was begun'
    done
    expect 2 varanalyze run -n 1 -o report.tar --report nowhere/report.txt touch reported
    says err 'nowhere/report.txt: there is no folder for it'
    mkdir folder
    for report in folder folder/ newfolder/; do
        expect 2 varanalyze run -n 1 -o report.tar --report $report touch reported
        says err "--report $report: that is a folder"
    done
    [ ! -e reported ] || complain 'a run was begun'
    expect 0 varanalyze run -n 1 -o report.tar --report /dev/null touch reported
    expect 2 varanalyze run --resume report.tar --report report.tar
    expect 0 varanalyze archive verify report.tar
}

# Runs without their definition would be lost.
archive_goes_away() {
    expect 2 varanalyze run -n 2 -o away.tar -- sh -c 'mv away.tar kept.tar'
    says err 'away.tar: has gone from its place while the campaign runs; put it back'
    [ ! -e away.tar ] || complain 'another archive was begun'
    expect 2 varanalyze run --resume away.tar
    expect 0 varanalyze run --resume kept.tar --dry-run
    [ "$(wc -l <out)" = 2 ] || complain "$(cat out)"
}

# Somebody else's folder is not touched.
scratch_in_the_way() {
    mkdir way.tar.scratch
    echo mine >way.tar.scratch/file
    expect 2 varanalyze run -n 1 -o way.tar true
    says err 'in the way'
    [ "$(cat way.tar.scratch/file)" = mine ] || complain 'the file is gone'
    [ ! -e way.tar ] || complain 'an archive was begun'
    mkdir -p left.tar.scratch/run-0007/trace
    : >left.tar.scratch/lock
    expect 0 varanalyze run -n 1 -o left.tar -- sh -c '[ ! -e left.tar.scratch/run-0007 ]'
    [ ! -e left.tar.scratch ] || complain 'scratch is left'
}

read_only() {
    mkdir -p closed
    chmod 555 closed
    if [ "$(id -u)" = 0 ]; then
        local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        "${nobody[@]}" sh -c "[ -x '$bin/varanalyze' ] && [ -x closed ]" 2>/dev/null || return 0
        mkdir -p open
        chmod 777 open
        expect 2 "${nobody[@]}" varanalyze run -n 2 -o open/runs.tar -- sh -c 'echo >>open/log; chmod 444 open/runs.tar'
        expect 2 "${nobody[@]}" varanalyze run --resume open/runs.tar
        says err 'open/runs.tar: runs cannot be added to it: Permission denied'
        [ "$(wc -l <open/log)" = 1 ] || complain 'a run was begun that could not be kept'
        expect 2 "${nobody[@]}" varanalyze run -n 1 -o closed/runs.tar true
    else
        expect 2 varanalyze run -n 1 -o closed/runs.tar true
    fi
    says err 'closed/runs.tar.scratch: cannot make the folder'
    [ -z "$(ls closed)" ] || complain 'something is left'
    chmod 755 closed
}

two_at_once() {
    local driver
    varanalyze run -n 1 -o two.tar -- sh -c 'while [ ! -e go ]; do sleep 0.05; done' >first 2>&1 &
    driver=$!
    for _ in $(seq 200); do [ -e two.tar ] && break || sleep 0.05; done
    expect 2 timeout 30 varanalyze run --resume two.tar
    says err 'is running this campaign; wait for it'
    : >go
    wait $driver || complain "the first: $(cat first)"
}

grows() {
    expect 0 varanalyze run -n 2 --condition a:init --condition b:order:3 -o grows.tar true
    expect 0 varanalyze run -n 4 --condition a:init --condition b:order:3 -o grows.tar true
    says out '7 of 7 runs done'
    expect 0 varanalyze run -n 5 --resume grows.tar
    says out '8 of 8 runs done'
    expect 2 varanalyze run -n 4 --resume grows.tar
    says err 'there can only be more'
    expect 2 varanalyze run -n 1 --condition a:init --condition b:order:3 -o grows.tar true
    says err 'there can only be more'
    expect 0 varanalyze run --resume grows.tar
    says out '8 of 8 runs done'
    expect 0 varanalyze archive verify grows.tar
    expect 0 varanalyze run --condition a:init:2 -o own.tar true
    expect 2 varanalyze run --resume own.tar -n 4
    says err 'own.tar: all conditions have numbers of their own'
    expect 0 varanalyze run --condition a:init:4 -o own.tar true
    says out '4 of 4 runs done'
}

another_definition() {
    expect 0 varanalyze run -n 1 --vary init --seed 7 -o defined.tar true
    for change in '--vary order' '--vary init --seed 8' '--vary init --level full' '--vary init --hold order' \
        '--vary init --env A=b' '--condition c:init'; do
        # shellcheck disable=SC2086 # words
        expect 2 varanalyze run -n 1 --seed 7 $change -o defined.tar true
        says err 'holds another campaign: its '
    done
    expect 2 varanalyze run -n 1 --vary init --seed 7 -o defined.tar true again
    says err 'its command is ["true"], here it is ["true","again"]'
    expect 2 env VR_ISA=baseline varanalyze run -n 1 --vary init --seed 7 -o defined.tar true
    says err 'its environment is {}, here it is {"VR_ISA":"baseline"}'
    expect 0 env VR_ISA=baseline varanalyze run --resume defined.tar
    says err 'VR_ISA=baseline of the environment is not used'
}

# What a program puts into the folder of its trace, or takes from there, is its own affair.
tampers_with_the_folder() {
    expect 0 varanalyze run -n 1 -o tidy.tar -- sh -c 'rm -rf "${VR_TRACE%/*}"'
    expect 0 varanalyze run -n 1 -o litter.tar -- sh -c 'cd "${VR_TRACE%/*}" || exit; mkdir d.h5; ln -s /etc/passwd l.h5; mkfifo f.h5 && echo x >"a b.h5"; echo bad >0.h5.journal'
    says out 'run-0001: no trace could be made of what the run left: not an HDF5 file'
    is litter.tar run-0001 traces '[]'
    expect 1 varanalyze run -n 1 -o keeper.tar -- sh -c 'echo $$ >orphan; kill -9 $PPID; exec sleep 60'
    for _ in $(seq 100); do alive "$(cat orphan)" || break; sleep 0.05; done
    ! alive "$(cat orphan)" || complain 'the run outlived the process that watched over it'
    is keeper.tar run-0001 note '"the process that watched over it was killed"'
    expect 1 varanalyze run -n 1 -o itself.tar -- sh -c 'kill -9 0'
    is itself.tar run-0001 signal 9
    is itself.tar run-0001 note '""'
    expect 1 varanalyze run -n 2 -o told.tar -- sh -c '[ $VR_REPLICA = 1 ] || exit 0; kill -TERM $PPID; sleep 5'
    is told.tar run-0001 note '"the process that watched over it was told to end it"'
    is told.tar run-0001 signal 15
    is told.tar run-0002 ok true
}

cannot_start() {
    expect 2 varanalyze run -n 1 -o none.tar nosuchprogram
    says err 'nosuchprogram: no such program'
    expect 2 varanalyze run -n 1 -o none.tar ./file
    printf '#!/no/such/interpreter\n' >broken
    chmod +x broken
    [ ! -e none.tar ] || complain 'an archive was begun'
    expect 2 varanalyze run -n 3 -o none.tar ./broken
    says err './broken: cannot be run: No such file or directory'
    says err '0 of 3 runs done; go on with: '
    [ ! -e none.tar.scratch ] || complain 'scratch is left'
}

tries_again() {
    expect 0 varanalyze run -n 3 --retry 2 -o tries.tar -- sh -c '[ $VR_REPLICA != 2 ] || { n=$(cat tries 2>/dev/null || echo 0); echo $((n + 1)) >tries; [ $n = 2 ]; }'
    is tries.tar run-0001 tries 1
    is tries.tar run-0002 tries 3
    expect 1 varanalyze run -n 2 -o again.tar -- sh -c 'echo "$VR_REPLICA" >>again; [ $VR_REPLICA = 1 ] || [ -e lucky ]'
    expect 1 varanalyze run --resume again.tar
    : >lucky
    expect 0 varanalyze run --resume again.tar --retry-failed
    [ "$(tr '\n' ' ' <again)" = '1 2 2 ' ] || complain "the runs were $(cat again)"
    is again.tar run-0002 tries 2
}

environment() {
    export VR_SEED=9 VR_ARCHIVE=elsewhere.tar VR_QUEUE=128k VR_ROUNDING_PRECISION=10 VR_PERTURB='conv*=bit:23@1-5'
    expect 0 varanalyze run -n 1 --condition a:kernels,rounding --condition b: --kernels threads --rounding ud --env OMP_NUM_THREADS=3 \
        -o environment.tar -- sh -c 'env | grep -E "^(VR|OMP)_" | grep -v TRACE= | sort | tr "\n" " "'
    unset VR_SEED VR_ARCHIVE VR_QUEUE VR_ROUNDING_PRECISION VR_PERTURB
    for name in VR_SEED=9 VR_ARCHIVE=elsewhere.tar VR_ROUNDING_PRECISION=10; do
        says err "$name of the environment is not used"
    done
    [ "$(member environment.tar a-0001.out)" = 'OMP_NUM_THREADS=3 VR_KERNELS=threads VR_PERTURB=conv*=bit:23@1-5 VR_QUEUE=128k VR_REPLICA=1 VR_ROUNDING=ud VR_SEED=1 VR_VARY=kernels,rounding ' ] ||
        complain "a: $(member environment.tar a-0001.out)"
    [ "$(member environment.tar b-0001.out)" = 'OMP_NUM_THREADS=3 VR_KERNELS=fixed VR_PERTURB=conv*=bit:23@1-5 VR_QUEUE=128k VR_REPLICA=1 VR_ROUNDING=nearest VR_SEED=1 ' ] ||
        complain "b: $(member environment.tar b-0001.out)"
    member environment.tar campaign.json | grep -qF '"VR_PERTURB": "conv*=bit:23@1-5"' || complain "$(member environment.tar campaign.json)"
    ! grep -F VR_PERTURB err || complain 'VR_PERTURB is none of those that are left out'
    expect 0 env VR_PERTURB='*=sum:8' varanalyze run --resume environment.tar -n 2
    says err 'VR_PERTURB=*=sum:8 of the environment is not used'
    member environment.tar b-0002.out | grep -qF 'VR_PERTURB=conv*=bit:23@1-5 ' || complain 'other noise after resuming'
}

# The traces of several ranks, of a run that was killed as well.
ranks() {
    expect 1 varanalyze run -n 1 -o ranks.tar -- sh -c \
        'for r in 0 1; do OMPI_COMM_WORLD_RANK=$r OMPI_COMM_WORLD_SIZE=2 campaign_child log 0; done; VR_REPLICA=20 PMI_RANK=2 PMI_SIZE=3 campaign_child log 0; exit 3'
    [ "$(varanalyze archive list ranks.tar 'run-*.h5' | tr '\n' ' ')" = 'run-0001.0.h5 run-0001.1.h5 run-0001.2.h5 ' ] ||
        complain "$(varanalyze archive list ranks.tar)"
    is ranks.tar run-0001 recovered true
    expect 1 varanalyze run -n 1 -o again-killed.tar -- sh -c 'campaign_child log 0; VR_REPLICA=20 exec campaign_child log 0'
    [ "$(varanalyze archive list again-killed.tar 'run-*.h5' | wc -l)" = 2 ] || complain "$(varanalyze archive list again-killed.tar)"
}

too_many_traces() {
    expect 0 varanalyze run -n 1 -o many.tar -- sh -c 'cd "${VR_TRACE%/*}" && seq -f %g.h5 65538 | xargs touch'
    says out 'run-0001: 2 of its 65538 traces were left out'
    is many.tar run-0001 note '"2 of its 65538 traces were left out"'
    [ "$(varanalyze archive list many.tar 'run-*.h5' | wc -l)" = 65536 ] || complain 'others were left out'
    rm many.tar
}

pinned() {
    local cores run
    cores=$(nproc)
    expect 0 varanalyze run -n "$((2 * cores))" -j 0 -o pinned.tar -- sh -c 'sed -n "s/^Cpus_allowed_list:\t//p" /proc/self/status; echo $OMP_NUM_THREADS'
    member pinned.tar run-0001.out | tr '\n' ' ' | grep -qE '^[0-9]+ 1 $' || complain "$(member pinned.tar run-0001.out)"
    for i in $(seq "$cores"); do
        run=$(printf 'run-%04d' "$i")
        member pinned.tar "$run.json" | tr -d ' \n' | grep -qF "\"cores\":[$(member pinned.tar "$run.out" | head -n 1)]" ||
            complain "$run: $(member pinned.tar "$run.json") $(member pinned.tar "$run.out")"
    done
    expect 0 varanalyze run -n 1 -j 2 -o threads.tar -- sh -c 'echo $OMP_NUM_THREADS'
    expect 0 varanalyze run -n 2 -o threads.tar -- sh -c 'echo $OMP_NUM_THREADS'
    member threads.tar run-0002.out | cmp - <(member threads.tar run-0001.out) || complain 'other threads with other -j'
    expect 1 varanalyze run -n 1 -o failing.tar false
    expect 1 varanalyze run --resume failing.tar -j $((cores + 1)) --retry-failed
    [ "$cores" = 1 ] || says err 'as many threads as the campaign began with'
    expect 1 varanalyze run --resume failing.tar -j $((cores + 1))
    [ ! -s err ] || complain "nothing is due, and yet: $(cat err)"
    expect 0 taskset -c 0 varanalyze run -n 3 -j 3 -o one-core.tar -- sh -c 'taskset -cp $$'
    member one-core.tar run-0003.out | grep -q ': 0$' || complain "$(member one-core.tar run-0003.out)"
}

# Nothing more fits, as on a full disk: what is in the archive stays, and it can go on.
full_disk() {
    expect 0 varanalyze run -n 2 -o full.tar true
    (ulimit -f 60 && trap '' XFSZ && exec varanalyze run -n 40 -o full.tar true >out 2>err)
    local status=$?
    [ $status = 2 ] || complain "ended with $status: $(cat out err)"
    says err 'File too large'
    says err 'go on with: varanalyze run --resume full.tar'
    expect 0 varanalyze archive verify full.tar
    [ ! -e full.tar.scratch ] || complain 'scratch is left'
    expect 0 varanalyze run --resume full.tar
    says out '40 of 40 runs done, 0 failed'
    (ulimit -f 0 && trap '' XFSZ && exec varanalyze run -n 1 -o fuller.tar true 2>&1) | cat >seen
    says seen 'fuller.tar.scratch: cannot write'
    [ ! -e fuller.tar.scratch ] || complain 'scratch of a campaign that could not begin is left'
}

# The trace of a killed run is not given up because there is no room for it now. The limit is the campaign's, not the run's.
no_room_to_recover() {
    (ulimit -S -f 50 && trap '' XFSZ && exec varanalyze run -n 1 --env VR_QUEUE=64k -o room.tar -- \
        sh -c 'ulimit -S -f unlimited; VR_REPLICA=20 exec campaign_child log 0' >out 2>err)
    local status=$?
    [ $status = 2 ] || complain "ended with $status: $(cat out err)"
    says err 'no room for the trace'
    says err '0 of 1 run done'
    expect 1 varanalyze run --resume room.tar
    is room.tar run-0001 recovered true
}

# A terminal sees the progress, and Ctrl-C ends the runs.
terminal() {
    command -v script >/dev/null || return 0
    script -qec "varanalyze run -n 30 -o terminal.tar -- sleep 0.05" /dev/null >seen 2>&1 </dev/null || complain "$(cat seen)"
    grep -qE '\[ ?[0-9]+/30\] .*left' seen || complain "no progress: $(od -c seen | head -20)"
    {
        for _ in $(seq 200); do [ -s typed.log ] && break || sleep 0.05; done
        printf '\003'
        sleep 0.5
    } | script -qec "env --default-signal=INT varanalyze run -n 1 -o typed.tar -- sh -c 'echo >>typed.log; exec sleep 20'" /dev/null >seen 2>&1
    says seen 'interrupted: 0 of 1 run done'
}

if [ $# -gt 2 ]; then
    shift 2
    for test; do "$test"; done
else
    for test in timeouts ignores_sigterm leaves_a_daemon killed_with_a_daemon all_are_told_to_stop told_twice ignored_signals no_input measures ends_by_itself odd_errors much_output tampers_with_the_folder odd_names another_folder other_archives \
        report_in_the_way archive_goes_away scratch_in_the_way read_only two_at_once grows another_definition cannot_start tries_again environment ranks too_many_traces pinned \
        full_disk no_room_to_recover terminal; do
        $test
    done
fi
exit $wrong
