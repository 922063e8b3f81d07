#!/bin/sh
# A law that cannot be broken tests nothing: each checker must find a planted offence, and must pass
# without it.
#   sh selftest.sh LAWS_DIR CC [x86]
set -eu
laws=$1 cc=$2 x86=${3-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0

# expect 0|1 NAME COMMAND...: the command's exit status, 0 or not.
expect() {
    want=$1 name=$2
    shift 2
    got=0
    "$@" >out 2>&1 || got=1
    if [ $got != "$want" ]; then
        echo "selftest: $name: exit $got, expected $want"
        cat out
        failures=$((failures + 1))
    fi
}
# object PATH FLAGS: compiles stdin to PATH.o and lists it in the file `objects`.
object() {
    mkdir -p "$(dirname "$1")"
    $cc $2 -O2 -x c -c - -o "$1.o"
    echo "$work/$1.o" >objects
}

mkdir -p src/nn src/plan simd
echo '#include "graph/graph.h"' >src/nn/a.c
echo '#include <stdint.h>' >simd/a.c
expect 0 'lawful includes' sh "$laws/include.sh" .
echo '#include "plan/plan.h"' >src/nn/b.c
expect 1 'nn includes plan' sh "$laws/include.sh" .
echo '#include <omp.h>' >src/nn/b.c
expect 1 'nn includes omp' sh "$laws/include.sh" .
echo '#include "unet.h"' >src/nn/b.c
expect 1 'include not relative to src' sh "$laws/include.sh" .
rm src/nn/b.c
echo '#include "base/base.h"' >simd/a.c
expect 1 'simd includes base' sh "$laws/include.sh" .

echo 'EBB_API int ebb_a(void);' >api.h
names() {
    printf '%s\n' "$1" | $cc -fPIC -x c -c - -o names.o
    rm -f names.a
    ar rc names.a names.o
    $cc -shared -o names.so names.o
}
names 'int ebb_a(void) { return 1; }'
expect 0 'lawful names' sh "$laws/symbols.sh" api.h names.a names.so
names 'int ebb_a(void) { return 1; } int helper(void) { return 1; }'
expect 1 'foreign global name' sh "$laws/symbols.sh" api.h names.a names.so
names 'int ebb_a(void) { return 1; } int ebb_b(void) { return 1; }'
expect 1 'export without EBB_API' sh "$laws/symbols.sh" api.h names.a names.so
names 'static int ebb_a(void) { return 1; } int ebb_b(void) { return ebb_a(); }'
expect 1 'public function missing' sh "$laws/symbols.sh" api.h names.a names.so
names 'int ebb_b(void); int ebb_a(void) { return ebb_b(); }'
expect 1 'used, defined nowhere' sh "$laws/symbols.sh" api.h names.a names.so

echo '#include <stdlib.h>
void *ebb_a(void) { return malloc(3); }' | object src/base/a.c ''
expect 0 'base allocates' sh "$laws/calls.sh" objects
echo '#include <stdlib.h>
void *ebb_a(void) { return malloc(3); }' | object src/plan/a.c ''
expect 1 'plan allocates' sh "$laws/calls.sh" objects
echo '#include <sys/mman.h>
void ebb_a(void *p) { munmap(p, 1); }' | object src/check/a.c ''
expect 0 'check unmaps a guard page' sh "$laws/calls.sh" objects
echo '#include <stdlib.h>
void *ebb_a(void) { return malloc(3); }' | object src/check/a.c ''
expect 1 'check allocates' sh "$laws/calls.sh" objects
echo '#include <stdio.h>
void ebb_a(void) { puts("1"); }' | object src/base/a.c ''
expect 1 'base prints' sh "$laws/calls.sh" objects
echo '#include <math.h>
float ebb_a(float x) { return expf(x); }' | object simd/c/a.c ''
expect 1 'simd calls expf' sh "$laws/calls.sh" objects

if [ -n "$x86" ]; then
    add='void ebb_a(float *x) { for (int i = 0; i < 64; i++) x[i] += 1; }'
    echo "$add" | object simd/c/a.c -O3
    expect 0 'base instructions' sh "$laws/isa.sh" objects
    echo "$add" | object simd/c/a.c '-O3 -mavx'
    expect 1 'avx in simd/c' sh "$laws/isa.sh" objects
    echo "$add" | object simd/avx2/a.c '-O3 -mavx2'
    expect 0 'avx2 in simd/avx2' sh "$laws/isa.sh" objects
    echo "$add" | object simd/avx2/a.c '-O3 -mavx512f -mprefer-vector-width=512'
    expect 1 'avx512 in simd/avx2' sh "$laws/isa.sh" objects
    echo 'long ebb_a(long x) { return __builtin_popcountl(x); }' | object src/base/a.c -mpopcnt
    expect 1 'popcnt in src' sh "$laws/isa.sh" objects
fi
[ $failures = 0 ]
