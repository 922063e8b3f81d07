#!/bin/sh
# include/ebb.h stands alone, as strict C11 and, where there is a compiler for it, as C++.
#   sh header.sh HEADER CC [CXX]
set -eu
header=$1 cc=$2 cxx=${3-}
$cc -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -include "$header" /dev/null
if [ -n "$cxx" ]; then
    $cxx -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -include "$header" /dev/null
fi
