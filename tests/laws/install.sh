#!/bin/sh
# What is installed is all that a foreign program needs: header, both libraries, pkg-config file.
#   sh install.sh CMAKE BUILD_DIR CC [SANITIZE_FLAGS]
set -eu
cmake=$1 build=$2 cc=$3 flags=${4-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cmake" --install "$build" --prefix "$work/home" >/dev/null
cd "$work"
cat >main.c <<'C'
#include <ebb.h>
#include <string.h>
int main(void)
{
    ebb_context *ctx = 0;
    int ok = ebb_context_create(0, &ctx) == EBB_OK && strcmp(ebb_version(), EBB_VERSION) == 0;
    ebb_context_free(ctx);
    return ok ? 0 : 1;
}
C
pc=$(find home -name ebb.pc)
[ -n "$pc" ] || { echo "no ebb.pc"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$work/$pc")
export PKG_CONFIG_PATH
libraries=$(pkg-config --variable=libdir ebb)

$cc $flags main.c -o shared $(pkg-config --cflags --libs ebb)
LD_LIBRARY_PATH=$libraries ./shared
# Static: without the shared library beside it the linker has no choice.
rm "$libraries"/libebb.so*
$cc $flags main.c -o static $(pkg-config --static --cflags --libs ebb)
./static
[ -d home/share/ebb/recipes ] || { echo "no recipes installed"; exit 1; }
