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

# As a batch system ends a job: all its processes are told at once. The run has not failed by that.
all_are_told_to_stop() {
    local driver
    varanalyze run -n 2 -o job.tar -- sh -c 'echo $$ >job.pid; exec sleep 60' >out 2>err &
    driver=$!
    for _ in $(seq 200); do [ -s job.pid ] && break || sleep 0.05; done
    kill -TERM "$(cat job.pid)" $driver
    wait $driver && complain 'it went on'
    says err '0 of 2 runs done'
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
    head -c 700 plain.tar >cut.tar
    expect 2 varanalyze run -n 2 -o cut.tar true
    mkdir folder
    expect 2 varanalyze run -n 1 -o folder true
    expect 2 varanalyze run -n 1 -o nowhere/runs.tar true
    says err 'no folder'
}

# Somebody else's folder is not touched.
scratch_in_the_way() {
    mkdir way.tar.scratch
    echo mine >way.tar.scratch/file
    expect 2 varanalyze run -n 1 -o way.tar true
    says err 'in the way'
    [ "$(cat way.tar.scratch/file)" = mine ] || complain 'the file is gone'
    [ ! -e way.tar ] || complain 'an archive was begun'
}

read_only() {
    mkdir -p closed
    chmod 555 closed
    if [ "$(id -u)" = 0 ]; then
        local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        "${nobody[@]}" sh -c "[ -x '$bin/varanalyze' ] && [ -x closed ]" 2>/dev/null || return 0
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
    expect 2 varanalyze run --resume two.tar
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
    expect 1 varanalyze run -n 1 -o keeper.tar -- sh -c 'kill -9 $PPID; sleep 5'
    is keeper.tar run-0001 note '"the process that watched over it was killed"'
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
    export VR_SEED=9 VR_ARCHIVE=elsewhere.tar VR_QUEUE=128k VR_ROUNDING_PRECISION=10
    expect 0 varanalyze run -n 1 --condition a:kernels,rounding --condition b: --kernels threads --rounding ud --env OMP_NUM_THREADS=3 \
        -o environment.tar -- sh -c 'env | grep -E "^(VR|OMP)_" | grep -v TRACE= | sort | tr "\n" " "'
    unset VR_SEED VR_ARCHIVE VR_QUEUE VR_ROUNDING_PRECISION
    for name in VR_SEED=9 VR_ARCHIVE=elsewhere.tar VR_ROUNDING_PRECISION=10; do
        says err "$name of the environment is not used"
    done
    [ "$(member environment.tar a-0001.out)" = 'OMP_NUM_THREADS=3 VR_KERNELS=threads VR_QUEUE=128k VR_REPLICA=1 VR_ROUNDING=ud VR_SEED=1 VR_VARY=kernels,rounding ' ] ||
        complain "a: $(member environment.tar a-0001.out)"
    [ "$(member environment.tar b-0001.out)" = 'OMP_NUM_THREADS=3 VR_KERNELS=fixed VR_QUEUE=128k VR_REPLICA=1 VR_ROUNDING=nearest VR_SEED=1 ' ] ||
        complain "b: $(member environment.tar b-0001.out)"
}

# The traces of several ranks, of a run that was killed as well.
ranks() {
    expect 1 varanalyze run -n 1 -o ranks.tar -- sh -c \
        'for r in 0 1; do OMPI_COMM_WORLD_RANK=$r OMPI_COMM_WORLD_SIZE=2 campaign_child log 0; done; VR_REPLICA=20 PMI_RANK=2 PMI_SIZE=3 campaign_child log 0; exit 3'
    [ "$(varanalyze archive list ranks.tar 'run-*.h5' | tr '\n' ' ')" = 'run-0001.0.h5 run-0001.1.h5 run-0001.2.h5 ' ] ||
        complain "$(varanalyze archive list ranks.tar)"
    is ranks.tar run-0001 recovered true
}

pinned() {
    local cores
    cores=$(nproc)
    expect 0 varanalyze run -n "$((2 * cores))" -j 0 -o pinned.tar -- sh -c 'sed -n "s/^Cpus_allowed_list:\t//p" /proc/self/status; echo $OMP_NUM_THREADS'
    member pinned.tar run-0001.out | tr '\n' ' ' | grep -qE '^[0-9]+ 1 $' || complain "$(member pinned.tar run-0001.out)"
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
}

if [ $# -gt 2 ]; then
    shift 2
    for test; do "$test"; done
else
    for test in timeouts ignores_sigterm leaves_a_daemon killed_with_a_daemon all_are_told_to_stop much_output tampers_with_the_folder odd_names another_folder other_archives \
        scratch_in_the_way read_only two_at_once grows another_definition cannot_start tries_again environment ranks pinned \
        full_disk no_room_to_recover terminal; do
        $test
    done
fi
exit $wrong
