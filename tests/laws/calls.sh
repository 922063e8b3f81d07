#!/bin/sh
# What objects may call. The library never exits or prints; memory, files, threads, the environment and
# the clock belong to src/base (only guard pages to src/check); simd calls nothing but plain C functions
# whose results are exact.
#   sh calls.sh OBJECTS     OBJECTS: a file with the path of one object a line
set -eu
never='^_*(abort|exit|_exit|_Exit|quick_exit|atexit|assert_fail|perror|puts|putc|putchar|fputs|fputc|fwrite|v?f?d?printf(_chk)?|stdout|stderr|stdin|signal|sigaction|raise|kill|system|popen|fork|rand|random|srand|drand48|setlocale)$'
base='^(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign|valloc|(__)?strn?dup|(__)?v?asprintf(_chk)?|getline|(fd|fre)?f?open(64|at|dir)?|fclose|close|p?read(64)?|p?write(64)?|fread|creat|f?stat(64)?|lstat(64)?|rename|unlink|remove|mkdir|mkstemp|f?truncate|f(data)?sync|mmap(64)?|munmap|madvise|omp_.*|GOMP_.*|__kmpc_.*|pthread_.*|thrd_.*|mtx_.*|getenv|secure_getenv|setenv|time|clock|clock_gettime|gettimeofday|sysconf|sched_.*|gz.*|png_init_io|json_(load|dump)_file|json_dumps)$'
simd='^(ebb_.*|mem(cpy|move|set|cmp)|__mem(cpy|move|set)_chk|strcmp|strlen|fmaf?|sqrtf?|floorf?|ceilf?|truncf?|rintf?|nearbyintf?|fabsf?|fminf?|fmaxf?|ldexpf?|getauxval|sysctlbyname|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__tls_get_addr|__cpu_model|__cpu_indicator_init)$'
instrumented='^(__(asan|ubsan|tsan|sanitizer|odr_asan)|_ITM_)'
check='^(mmap(64)?|munmap|sysconf)$'

[ -s "$1" ] || { echo "no objects in $1"; exit 1; }
xargs nm -A -u <"$1" | awk -v never="$never" -v base="$base" -v simd="$simd" -v check="$check" \
    -v instrumented="$instrumented" '
    {
        object = $1
        sub(/:.*/, "", object)
        name = $NF
        sub(/@.*/, "", name)
        simd_object = object ~ /\/simd\/([a-z0-9]+\/)?[^\/]*$/
        base_object = object ~ /\/src\/base\/[^\/]*$/
    }
    !(object in seen) { seen[object] = 1; count++ }
    name ~ instrumented || (object ~ /\/src\/check\/[^\/]*$/ && name ~ check) { next }
    name ~ never || (simd_object && name !~ simd) || (!simd_object && !base_object && name ~ base) {
        printf "%s calls %s\n", object, name
        bad = 1
    }
    END {
        printf "%d objects read\n", count
        exit bad || !count
    }'
