#!/bin/sh
# The include law: layers look downwards only, and each foreign library has one home.
#   sh include.sh SOURCE_DIR
# The tables below are the law; src/README.md draws it.
set -eu
cd "$1"

find src simd -name '*.[ch]' -o -name '*.def' | LC_ALL=C sort | xargs awk '
BEGIN {
    # layer: what its files may include beside their own layer
    ours["cli"] = "";                                       ours["study"] = "train sample model eval check diffusion plan format"
    ours["train"] = "sample model plan format";             ours["sample"] = "model diffusion"
    ours["model"] = "diffusion dataset format";
    ours["dataset"] = "format base";                        ours["diffusion"] = "nn graph plan"
    ours["eval"] = "diffusion format base"
    ours["nn"] = "graph";                                   ours["plan"] = "graph backend"
    ours["backend"] = "graph simd base";                    ours["graph"] = "base"
    ours["format"] = "base";                                ours["base"] = "simd"
    ours["check"] = "simd";                                 ours["simd"] = ""
    # foreign header: the only places that include it (a layer, or one file)
    home["omp"] = "base";            home["pthread"] = "base";
    home["png"] = "format";          home["zlib"] = "format"
    home["jansson"] = "format model sample train study cli src/plan/show.c"
    home["lapacke"] = "eval"
    home["popt"] = "cli";            home["oneapi/dnnl"] = "src/backend/onednn.c src/backend/dnx.h"
    home["mpi.h"] = "src/train/dist.c"
    home["Random123/"] = "base check simd"
    home["immintrin"] = "simd base"; home["arm_neon"] = "simd";  home["cpuid"] = "simd"
    home["fcntl"] = "base cli";      home["sys/stat"] = "base cli"; home["unistd"] = "base check cli"
    home["dirent"] = "base";         home["signal"] = "cli";        home["sys/mman"] = "base check"
}
function has(list, word,   i, n, part) {
    n = split(list, part, " ")
    for (i = 1; i <= n; i++)
        if (part[i] == word)
            return 1
    return 0
}
function broken(why) {
    printf "%s:%d: %s: %s\n", FILENAME, FNR, $0, why
    bad++
}
{ layer = FILENAME; sub(/^src\//, "", layer); sub(/\/.*/, "", layer) }
!(layer in ours) && !(layer in told) { told[layer] = 1; broken("no such layer: put it into the table") }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    includes++
    split($0, piece, "\"")
    path = piece[2]
    if (path == "ebb.h" && layer != "simd")
        next
    if (layer == "simd") {
        if (path ~ /\.\.|^(src|cli|train|dataset|diffusion|nn|plan|backend|graph|format|base)\// || path == "ebb.h")
            broken("simd includes nothing of ours")
        next
    }
    if (path == "simd.h" || path == "kernels.def") {
        if (!has(ours[layer], "simd"))
            broken(layer " may not include simd")
        next
    }
    to = path
    sub(/\/.*/, "", to)
    if (!(to in ours) || to == path)
        broken("write includes relative to src: \"layer/file.h\"")
    else if (to != layer && !has(ours[layer], to))
        broken(layer " may include " (ours[layer] == "" ? "ebb.h only" : "only: " ours[layer]))
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    includes++
    path = $0
    sub(/^[^<]*</, "", path)
    sub(/>.*/, "", path)
    for (name in home)
        if (index(path, name) == 1 && !has(home[name], layer) && !has(home[name], FILENAME))
            broken("only here: " home[name])
}
END {
    if (!includes) {
        print "no includes found: wrong directory?"
        exit 1
    }
    printf "%d includes, %d against the law\n", includes, bad
    exit bad > 0
}'
