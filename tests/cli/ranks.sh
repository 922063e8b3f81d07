# ranks.sh: training by several processes: the bits of one, files by one of them, one message for all; and an
# end of all when one fails. MPIRUN: the launcher; skipped (77) without it.
[ -x "${MPIRUN-}" ] || { echo "skipped: no mpirun here"; exit 77; }
. "$(dirname "$0")/lib.sh"
tiny

# Root, few cores, no ssh, no /dev/shm of size, no ptrace: as in a container.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm_rsh_agent=
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_btl_vader_backing_directory="$work"
export OMPI_MCA_orte_tmpdir_base="$work" PMIX_MCA_gds=hash
"$MPIRUN" -n 2 true >out 2>&1 || { echo "skipped: mpirun cannot start two processes here:"; cat out; exit 77; }

# ranks N CODE ARGUMENT...: like expect, by N processes.
ranks() {
    count=$1 want=$2
    shift 2
    "$MPIRUN" -n "$count" "$EBB" "$@" --threads $threads >out 2>err </dev/null
    code=$?
    [ $code = "$want" ] || fail "$count ranks, ebb $*: exit code $code, expected $want"
}
same() {
    for name in model checkpoint; do
        cmp -s "$1/$name.safetensors" "$2/$name.safetensors" || fail "$1 and $2: $name.safetensors differ"
    done
}
# The message comes once, whatever the number of ranks.
once() {
    says "$1"
    [ "$(grep -c '^ebb: ' err)" = 1 ] || fail "more than one message"
}
shards="train.batch=12 train.shard=1"    # twelve: 3 ranks and 6 ranks have a right edge

# ---- the same bits
expect 0 train tiny.json $shards -o one
threads=1
for count in 6 3; do
    ranks $count 0 train tiny.json $shards -o by$count
    same one by$count
    only by$count model.safetensors checkpoint.safetensors log.jsonl
    [ "$(wc -l <by$count/log.jsonl)" = 4 ] || fail "$count ranks: the log has not one line a step"
    threads=2
done
grep -q '3 ranks x 2 threads' err || fail "the announcement does not say how many ranks there are"
threads=1
expect 0 train tiny.json train.steps=40 -o uncut
ranks 2 0 speed tiny.json --train --seconds 0.1 --json
is_json; prints '"ranks":2'

# ---- processors: ranks that were given none of their own share them; more threads are warned about, once
cpus=$(getconf _NPROCESSORS_ONLN)
"$MPIRUN" -n 2 "$EBB" speed tiny.json --train --batch 8 --seconds 0.01 --json >out 2>err
cores=$("$EBB" info cpu --json | sed 's/.*"cores":\([0-9]*\).*/\1/')
prints "\"threads\":$((cores > 1 ? cores / 2 : 1)),"
threads=$((cpus + 1))
ranks 2 0 speed tiny.json --train --batch 8 --seconds 0.01 --json; once 'in each of 2 processes'
threads=1

# ---- cut: saved once, exit code 3; resumed by another number of ranks
cut() {
    pid=$1 directory=$2
    while kill -0 "$pid" 2>/dev/null && [ "$(cat "$directory/log.jsonl" 2>/dev/null | wc -l)" -lt 5 ]; do :; done
    kill -USR1 "$pid"
    wait "$pid"
    code=$?
    [ $code = 3 ] || fail "$directory: exit code $code, expected 3"
    [ "$(grep -cF "ebb train --resume $directory" err)" = 1 ] || fail "$directory: not told once how to go on"
}
"$MPIRUN" -n 2 "$EBB" train tiny.json train.steps=40 -o cut2 --threads 1 >out 2>err </dev/null &
cut $! cut2
expect 0 train --resume cut2
same uncut cut2
"$EBB" train tiny.json train.steps=40 -o cut1 --threads 1 >out 2>err </dev/null &
cut $! cut1
ranks 2 0 train --resume cut1
same uncut cut1
only cut1 model.safetensors checkpoint.safetensors log.jsonl

# ---- what is refused
ranks 4 1 train tiny.json $shards -o split; once '3, 6, 12'
ranks 2 2 train tiny.json train.bach=4 -o typo; once 'train.batch'
ranks 2 1 speed tiny.json --eval; once 'without mpirun'
ranks 2 1 train --resume nowhere; once 'nowhere'
absent split typo
# Each rank its own command line.
pair() {
    "$MPIRUN" -n 1 "$EBB" train tiny.json -o pair : -n 1 "$EBB" train tiny.json -o pair "$@" >out 2>err </dev/null
    code=$?
    [ $code = 1 ] || fail "second rank with $*: exit code $code, expected 1"
    absent pair
}
pair data.path=missing.gz; once 'rank 1 of 2: '
pair optim.lr=1; once 'ranks 0 and 1 have different'
pair data.limit=63; once 'ranks 0 and 1 have different'
finish
