#!/bin/sh
# From a fresh machine to pictures (demo) or to passed tests (test):
#
#   sh cmake/bootstrap.sh deps    install the packages that ebb needs, where one is missing
#   sh cmake/bootstrap.sh build   deps, then the release build: build/ebb
#   sh cmake/bootstrap.sh demo    build, then train on the digits and sample: demo/samples.png
#   sh cmake/bootstrap.sh test    build, then every test; last line "N passed, N failed"
set -eu
cd "$(dirname "$0")/.."

# g++ and Google Benchmark are for bench/; the cross compiler and qemu for the tests of the
# ARM kernels, and qemu for those of AVX2 on a processor without AVX-512; gnuplot for that of the plots.gp of ebb bench.
apt_packages="cmake make gcc g++ libc6-dev pkg-config zlib1g-dev libpng-dev libjansson-dev libpopt-dev
    liblapacke-dev libcmocka-dev libbenchmark-dev librandom123-dev libdnnl-dev ocl-icd-opencl-dev
    libopenmpi-dev openmpi-bin
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user gnuplot-nox"
dnf_packages="cmake make gcc gcc-c++ pkgconf-pkg-config zlib-devel libpng-devel jansson-devel popt-devel
    lapack-devel libcmocka-devel google-benchmark-devel Random123-devel onednn-devel
    openmpi-devel gnuplot-minimal"
brew_packages="cmake pkg-config libpng jansson lapack popt cmocka google-benchmark libomp onednn
    open-mpi"
# Only for tests: a browser that looks at the report of ebb bench (about 140 MB to fetch). Without it that test is skipped.
apt_browser="chromium" dnf_browser="chromium"

say() { printf '\n== %s\n' "$*"; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "installing packages needs root: run as root, or install sudo, or install yourself: $missing"
    fi
}

# Prints those of the packages $2... for which the query $1 fails.
missing_of() {
    query=$1
    shift
    for package; do
        $query "$package" >/dev/null 2>&1 || printf '%s ' "$package"
    done
}
apt_has() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
rpm_has() { rpm -q --whatprovides "$1"; }
brew_has() { brew list "$1"; }

deps() {
    if have apt-get; then
        missing=$(missing_of apt_has $apt_packages)
        [ -n "$missing" ] || return 0
        say "installing $missing"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing
    elif have dnf; then
        missing=$(missing_of rpm_has $dnf_packages)
        [ -n "$missing" ] || return 0
        say "installing $missing"
        as_root dnf -q install -y --setopt=install_weak_deps=False $missing
    elif have brew; then
        missing=$(missing_of brew_has $brew_packages)
        [ -z "$missing" ] || { say "installing $missing"; brew install -q $missing; }
        # Homebrew has no Random123; it is a few headers.
        [ -d build/random123-source ] || git clone -q --depth 1 --branch v1.14.0 \
            https://github.com/DEShawResearch/random123 build/random123-source
    else
        die "no apt, dnf or brew here: install the counterparts of: $apt_packages; then use cmake itself"
    fi
}

# A browser that cannot be installed is no failure: its test says that it was skipped.
browser() {
    if have chromium || have chromium-browser || have google-chrome; then
        return
    elif have apt-get; then
        missing=$apt_browser
        say "installing $missing"
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing
    elif have dnf; then
        missing=$dnf_browser
        say "installing $missing"
        as_root dnf -q install -y --setopt=install_weak_deps=False $missing
    fi || say "no browser: the report of ebb bench will not be looked at"
}

cores() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# $1: build directory; the rest: cmake arguments.
configure_and_build() {
    directory=$1
    shift
    if [ ! -f "$directory/CMakeCache.txt" ] && have ninja; then
        set -- -G Ninja "$@"
    fi
    if have brew && [ -d build/random123-source ]; then
        set -- "-DRANDOM123_INCLUDE_DIR=$PWD/build/random123-source/include" \
            "-DOpenMP_ROOT=$(brew --prefix libomp)" "$@"
        # Homebrew keeps LAPACK out of the search path, as macOS has one of its own (without LAPACKE).
        PKG_CONFIG_PATH="$(brew --prefix lapack)/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
        export PKG_CONFIG_PATH
    fi
    # Fedora keeps MPI out of the search path until a module is loaded.
    if [ -d /usr/lib64/openmpi/bin ]; then
        set -- -DMPI_HOME=/usr/lib64/openmpi "$@"
    fi
    cmake -S . -B "$directory" "$@" >"$directory.log" 2>&1 || { cat "$directory.log" >&2; return 1; }
    rm -f "$directory.log"
    cmake --build "$directory" --parallel "$(cores)"
}

build() {
    deps || die "packages are missing"
    say "building ebb in build/"
    configure_and_build build -DCMAKE_BUILD_TYPE=Release
}

demo() {
    build
    if [ -f demo/checkpoint.safetensors ]; then
        say "training goes on in demo/, where an earlier run left it"
        build/ebb train --resume demo
    else
        say "training on the digits of data/mnist"
        build/ebb train digits-demo -o demo
    fi
    say "sampling: one row a class"
    build/ebb sample demo/model.safetensors --class all -n 80 --columns 8 --seed 1 -o demo/samples.png
    printf '\ndone: look at demo/samples.png\n'
}

# Most of a test runs on one core; a machine of many has enough with four tests at once, as each asks for all cores in turn.
tests_at_once() { [ "$(cores)" -gt 4 ] && echo 4 || cores; }

# Runs the tests of build directory $1 (the rest: ctest's arguments) and adds its counts to passed and failed.
ctest_count() {
    directory=$1
    log=$1/ctest.log
    shift
    (cd "$directory" && ctest --output-on-failure --parallel "$(tests_at_once)" "$@" 2>&1 </dev/null || true) | tee "$log"
    counts=$(sed -n 's/.*% tests passed, \([0-9]*\) tests* failed out of \([0-9]*\).*/\1 \2/p' "$log")
    if [ -z "$counts" ]; then
        failed=$((failed + 1))
        return
    fi
    failed=$((failed + ${counts% *}))
    passed=$((passed + ${counts#* } - ${counts% *}))
}

tests() {
    passed=0 failed=0
    (browser) || true
    # A build that fails is a failure too, and the last line says so.
    if (build); then
        say "testing"
        ctest_count build
    else
        failed=1
    fi
    say "testing with injected faults, red zones in the arenas and the address sanitizer"
    if configure_and_build build-asan --preset asan -DCMAKE_BUILD_TYPE=Debug; then
        ctest_count build-asan -E '^(law|cli)_'
    else
        failed=$((failed + 1))
    fi
    if [ "$(uname -m)" = x86_64 ] && have aarch64-linux-gnu-gcc && have qemu-aarch64; then
        say "testing the ARM kernels under qemu"
        if configure_and_build build-aarch64 --preset aarch64; then
            ctest_count build-aarch64
        else
            failed=$((failed + 1))
        fi
    fi
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

case ${1-} in
deps) deps ;;
build) build ;;
demo) demo ;;
test) tests ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
