# interrupt.sh: a signal during training ends it after the step, saved, with exit code 3; resuming gives
# the bits of an uncut run. A second look at the same for sampling: no file is left.
. "$(dirname "$0")/lib.sh"
tiny
steps=60

expect 0 train tiny.json train.steps=$steps -o uncut
for signal in INT TERM; do
    "$EBB" train tiny.json train.steps=$steps -o cut$signal >out 2>err </dev/null &
    pid=$!
    # The log grows a line a step: cut somewhere in the middle.
    while kill -0 $pid 2>/dev/null && [ "$(cat cut$signal/log.jsonl 2>/dev/null | wc -l)" -lt 5 ]; do :; done
    kill -$signal $pid
    wait $pid
    code=$?
    [ $code = 3 ] || fail "SIG$signal: exit code $code, expected 3"
    grep -qF "ebb train --resume cut$signal" err || fail "SIG$signal: not told how to go on"
    expect 0 train --resume cut$signal
    cmp -s uncut/model.safetensors cut$signal/model.safetensors || fail "SIG$signal: resumed run has other bits"
    cmp -s uncut/checkpoint.safetensors cut$signal/checkpoint.safetensors ||
        fail "SIG$signal: resumed run has another checkpoint"
    only cut$signal model.safetensors checkpoint.safetensors log.jsonl
done

stop_at_work sample uncut/model.safetensors -n 2000 --sampler ddpm -o many.npy
only . tiny.json out err uncut cutINT cutTERM

expect 1 train --resume nowhere; says 'nowhere'
mkdir empty
expect 1 train --resume empty; says 'empty'
only empty
finish
