#!/bin/sh
# Names: the static library defines ebb_ names only, the shared one exports the EBB_API ones only.
#   sh symbols.sh HEADER LIBEBB.a LIBEBB.so
set -eu
header=$1 static=$2 shared=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -g --defined-only "$static" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -v '^__odr_asan' | sort -u >"$work/defined"
nm -D --defined-only "$shared" | awk 'NF == 3 { print $3 }' | grep -v '^__odr_asan' | sort -u >"$work/exported"
grep -v '^#' "$header" | tr '\n' ' ' | grep -o 'EBB_API [^;(]*(' | sed 's/ *($//; s/.*[ *]//' | sort -u >"$work/public"
[ -s "$work/defined" ] && [ -s "$work/public" ] || { echo "nothing found in $static or $header"; exit 1; }

bad=0
if grep -v '^ebb_' "$work/defined" >"$work/foreign"; then
    echo "global names in $static that do not start with ebb_ (make them static):"
    cat "$work/foreign"
    bad=1
fi
if comm -13 "$work/public" "$work/exported" | grep . >"$work/extra"; then
    echo "exported by $shared without EBB_API in the header:"
    cat "$work/extra"
    bad=1
fi
if comm -23 "$work/public" "$work/exported" | grep . >"$work/missing"; then
    echo "public in $header, not exported by $shared:"
    cat "$work/missing"
    bad=1
fi
if nm -D --undefined-only "$shared" | awk '$2 ~ /^ebb_/ { print $2 }' | grep . >"$work/undefined"; then
    echo "used by $shared, defined nowhere:"
    cat "$work/undefined"
    bad=1
fi
echo "$(wc -l <"$work/defined") global names, $(wc -l <"$work/exported") exported, $(wc -l <"$work/public") public"
exit $bad
