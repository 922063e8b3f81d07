#!/bin/sh
# ISA leaks (x86-64): instructions beyond the base ISA stay in the folders whose kernels are called only
# after the processor was asked. A leak is an illegal instruction on an older machine.
#   sh isa.sh OBJECTS     OBJECTS: a file with the path of one object a line
set -eu
bad=0 count=0
vex='^v[a-z0-9]+$'
bmi='^(andn|bextr|bls(i|r|msk)|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx|lzcnt|popcnt|movbe)[lqw]?$'
sse='^(p(abs[bwd]|shufb|hadd|maddubsw|blend|mull?d|mins[bd]|maxs[bd]|mov[sz]x|insr[bdq]|extr[bdq]|test|cmpeqq|cmpgtq)|round[ps][sd]|blendv?p[sd]|dpp[sd]|haddp[sd]|insertps|extractps|crc32)'
mask='^k(mov|and|or|xor|xnor|not|add|shift|test|ortest|unpck)'
amx='^(tile|tdp|ldtilecfg|sttilecfg)'
bf16='^v(dpbf16ps|cvtne2?ps2?bf16)'

while read -r object; do
    case $object in
    */simd/amx/*) continue ;;
    */simd/avx512bf16/*) level=avx512bf16 ;;
    */simd/avx512/*) level=avx512 ;;
    */simd/avx2/*) level=avx2 ;;
    *) level=base ;;
    esac
    count=$((count + 1))
    objdump -d --no-show-raw-insn "$object" | awk -F '\t' -v object="$object" -v level=$level \
        -v vex="$vex" -v bmi="$bmi" -v sse="$sse" -v mask="$mask" -v amx="$amx" -v bf16="$bf16" '
        /^[0-9a-f]+ <.*>:$/ { name = $1; sub(/^[0-9a-f]+ /, "", name) }
        NF < 2 { next }
        {
            line = $2
            split(line, word, " ")
            op = word[1]
            zmm = line ~ /%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]/ || op ~ mask
            leak = op ~ amx || (op ~ bf16 && level != "avx512bf16")
            if (level !~ /^avx512/)
                leak = leak || zmm
            if (level == "base")
                leak = leak || line ~ /%ymm/ || (op ~ vex && line ~ /%[xyz]mm/) || op ~ bmi || op ~ sse
            if (leak) {
                printf "%s %s %s\n", object, name, line
                if (++leaks == 5)
                    exit
            }
        }
        END { exit leaks > 0 }' || bad=1
done <"$1"
[ $count -gt 0 ] || { echo "no objects in $1"; exit 1; }
echo "$count objects read"
exit $bad
