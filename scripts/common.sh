# Sourced by the scripts: where we are, how to say what happens, and the compiler cache if there is one.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n== %s\n' "$*"; }
die() { printf '\n%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# A compiler cache is used where it is installed; it is never installed by us.
if command -v ccache >/dev/null 2>&1; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
fi
jobs=$(nproc)

# build_preset PRESET [TARGET...]: configures and builds; with the output only where it fails.
build_preset() {
    local preset=$1 log
    shift
    mkdir -p build
    log=build/$preset.log
    say "build: $preset (log: $log)"
    local started=$SECONDS
    # scripts/build turns the tests off in the folder that it shares with us.
    if ! cmake --preset "$preset" -DBUILD_TESTING=ON >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "configuring the preset '$preset' failed"
    fi
    if ! cmake --build "build/$preset" -j "$jobs" ${*:+--target "$@"} >>"$log" 2>&1; then
        grep -nE 'error|FAILED|undefined reference' -A5 "$log" | tail -n 60 >&2
        die "building the preset '$preset' failed"
    fi
    printf '   done in %d s\n' $((SECONDS - started))
}
