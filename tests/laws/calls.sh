#!/bin/sh
# What objects may call. The library never exits or prints; memory, files, threads, the environment and
# the clock belong to src/base; simd calls nothing but plain C functions whose results are exact.
#   sh calls.sh OBJECTS     OBJECTS: a file with the path of one object a line
set -eu
never='^_*(abort|exit|_exit|_Exit|quick_exit|atexit|assert_fail|perror|puts|putc|putchar|fputs|fputc|fwrite|v?f?d?printf(_chk)?|stdout|stderr|stdin|signal|sigaction|raise|kill|system|popen|fork|rand|random|srand|drand48|setlocale)$'
base='^(malloc|calloc|realloc|free|posix_memalign|aligned_alloc|memalign|valloc|(__)?strn?dup|(__)?v?asprintf(_chk)?|getline|(fd|fre)?f?open(64|at|dir)?|fclose|close|p?read(64)?|p?write(64)?|fread|creat|f?stat(64)?|lstat(64)?|rename|unlink|remove|mkdir|mkstemp|f?truncate|f(data)?sync|mmap(64)?|munmap|madvise|omp_.*|GOMP_.*|__kmpc_.*|pthread_.*|thrd_.*|mtx_.*|getenv|secure_getenv|setenv|time|clock|clock_gettime|gettimeofday|sysconf|sched_.*|gz.*|png_init_io|json_(load|dump)_file|json_dumps)$'
simd='^(ebb_.*|mem(cpy|move|set|cmp)|__mem(cpy|move|set)_chk|strcmp|strlen|fmaf?|sqrtf?|floorf?|ceilf?|truncf?|rintf?|nearbyintf?|fabsf?|fminf?|fmaxf?|ldexpf?|getauxval|sysctlbyname|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__tls_get_addr|__cpu_model|__cpu_indicator_init)$'
instrumented='^(__(asan|ubsan|tsan|sanitizer|odr_asan)|_ITM_)'

bad=0 count=0
while read -r object; do
    case $object in
    */src/base/*) layer=base ;;
    */simd/*) layer=simd ;;
    *) layer=other ;;
    esac
    count=$((count + 1))
    nm -u "$object" | awk -v object="$object" -v layer=$layer -v never="$never" -v base="$base" -v simd="$simd" \
        -v instrumented="$instrumented" '
        { name = $2; sub(/@.*/, "", name) }
        name ~ instrumented { next }
        name ~ never || (layer == "other" && name ~ base) || (layer == "simd" && name !~ simd) {
            printf "%s calls %s\n", object, name
            bad = 1
        }
        END { exit bad }' || bad=1
done <"$1"
[ $count -gt 0 ] || { echo "no objects in $1"; exit 1; }
echo "$count objects read"
exit $bad
