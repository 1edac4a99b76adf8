#!/usr/bin/env bash
# operations_ir.sh MAJOR: functions in LLVM's language, for what clang makes only under some options or of some
# processors' code: intrinsics on vectors of any width, reductions, strict arithmetic, half, atomic operations.
# operations_ir.c calls them. Each works on one scalar or vector in memory: name(a, b, c, out). MAJOR: of LLVM; before
# 15, pointers have types.
set -euo pipefail
major=$1
declared=

# pointer TYPE: how a pointer to that is written
pointer() { if [ "$major" -lt 15 ]; then printf '%s*' "$1"; else printf 'ptr'; fi; }

# declare TEXT: a declaration, once
declare_once() {
    case $declared in *"|$1|"*) return ;; esac
    declared+="|$1|"
    printf 'declare %s\n' "$1"
}

# as NAME TYPE: NAME, of bytes, as a pointer to TYPE in NAME.p
as() { printf '  %%%s.p = bitcast %s %%%s to %s\n' "$1" "$(pointer i8)" "$1" "$(pointer "$2")"; }

# function NAME TYPE RESULT ALIGNMENT ATTRIBUTE: with the body on standard input, from %x, %y and %z to %r
function_of() {
    local name=$1 type=$2 result=$3 alignment=$4 attribute=$5 operand
    printf 'define void @%s(' "$name"
    printf '%s %%a, %s %%b, %s %%c, %s %%out) nounwind %s {\n' "$(pointer i8)" "$(pointer i8)" "$(pointer i8)" \
        "$(pointer i8)" "$attribute"
    for operand in a:x b:y c:z; do
        as "${operand%:*}" "$type"
        printf '  %%%s = load %s, %s %%%s.p, align %s\n' "${operand#*:}" "$type" "$(pointer "$type")" \
            "${operand%:*}" "$alignment"
    done
    cat
    as out "$result"
    printf '  store %s %%r, %s %%out.p, align %s\n  ret void\n}\n' "$result" "$(pointer "$result")" "$alignment"
}

declare -A words=([f32]=float [f64]=double [f16]=half) sizes=([f32]=4 [f64]=8 [f16]=2)

# type_of SUFFIX LANES: sets `type` and the suffix of its intrinsics, `of`
type_of() {
    if [ "$2" = 1 ]; then type=${words[$1]} of=$1; else type="<$2 x ${words[$1]}>" of=v$2$1; fi
}

intrinsics() {
    local suffix=$1 lanes=$2 type of
    type_of "$suffix" "$lanes"
    declare_once "$type @llvm.fma.$of($type, $type, $type)"
    declare_once "$type @llvm.sqrt.$of($type)"
    function_of "ir_fma_${suffix}_$lanes" "$type" "$type" "${sizes[$suffix]}" "" \
        <<<"  %r = call $type @llvm.fma.$of($type %x, $type %y, $type %z)"
    function_of "ir_sqrt_${suffix}_$lanes" "$type" "$type" "${sizes[$suffix]}" "" \
        <<<"  %r = call $type @llvm.sqrt.$of($type %x)"
}

strict() {
    local suffix=$1 lanes=$2 type of name count parameters arguments
    local how='metadata !"round.dynamic", metadata !"fpexcept.strict"' prefix=llvm.experimental.constrained
    type_of "$suffix" "$lanes"
    for name in fadd:2 fsub:2 fmul:2 fdiv:2 sqrt:1 fma:3; do
        count=${name#*:} name=${name%:*}
        parameters=$type arguments="$type %x"
        [ "$count" = 1 ] || { parameters+=", $type" arguments+=", $type %y"; }
        [ "$count" != 3 ] || { parameters+=", $type" arguments+=", $type %z"; }
        declare_once "$type @$prefix.$name.$of($parameters, metadata, metadata)"
        function_of "ir_strict_${name}_${suffix}_$lanes" "$type" "$type" "${sizes[$suffix]}" strictfp \
            <<<"  %r = call $type @$prefix.$name.$of($arguments, $how) strictfp"
    done
}

reductions() {
    local suffix=$1 lanes=$2 type of element=${words[$1]} name
    type_of "$suffix" "$lanes"
    for name in fadd fmul; do
        declare_once "$element @llvm.vector.reduce.$name.$of($element, $type)"
        function_of "ir_ordered_${name}_${suffix}_$lanes" "$type" "$element" "${sizes[$suffix]}" "" <<END
  %start = extractelement $type %y, i32 0
  %r = call $element @llvm.vector.reduce.$name.$of($element %start, $type %x)
END
        function_of "ir_pairs_${name}_${suffix}_$lanes" "$type" "$element" "${sizes[$suffix]}" "" <<END
  %start = extractelement $type %y, i32 0
  %r = call reassoc $element @llvm.vector.reduce.$name.$of($element %start, $type %x)
END
    done
}

half() {
    local lanes=$1 type of name
    type_of f16 "$lanes"
    for name in fadd fsub fmul fdiv; do
        function_of "ir_${name}_f16_$lanes" "$type" "$type" 2 "" <<<"  %r = $name $type %x, %y"
    done
    intrinsics f16 "$lanes"
}

# The number in memory is that of `out`, which gets what was there before.
atomic() {
    local suffix=$1 name=$2 element=${words[$1]}
    function_of "ir_atomic_${name}_$suffix" "$element" "$element" "${sizes[$suffix]}" "" <<END
$(as c "$element" | sed 's/%c\.p/%memory/')
  %old = atomicrmw $name $(pointer "$element") %memory, $element %x seq_cst
  %r = load $element, $(pointer "$element") %memory, align ${sizes[$suffix]}
END
}

for suffix in f32 f64; do
    for lanes in 1 2 3 4 5 6 7 8 16; do
        intrinsics "$suffix" "$lanes"
        [ "$lanes" = 1 ] || reductions "$suffix" "$lanes"
    done
    for lanes in 1 3 4; do
        strict "$suffix" "$lanes"
    done
    for name in fadd fsub; do
        atomic "$suffix" "$name"
    done
done
for lanes in 1 3 8; do
    half "$lanes"
done
