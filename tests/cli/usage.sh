# usage.sh: help, versions, unknown words: exit codes 0 and 2, and "did you mean".
. "$(dirname "$0")/lib.sh"

expect 0 --version; prints 'ebb 0.'
expect 0 --help; prints 'Usage: ebb COMMAND'
expect 0 help; prints 'Usage: ebb COMMAND'
for command in train sample info plan speed check recipes ema nll restore latent experiment; do
    expect 0 $command --help; prints "Usage: ebb $command"; prints 'Examples:'; prints "  ebb $command"
    prints '--json'
    expect 0 help $command; prints "Usage: ebb $command"
    expect 2 $command --no-such-option; says '--no-such-option'
    expect 2 $command --threads=-1; says '--threads'
    expect 2 $command --threads=many; says 'many'
done
expect 2
expect 2 trian; says 'did you mean "train"'
expect 2 help trian; says 'did you mean "train"'
expect 2 xyzzy; says 'xyzzy'

expect 2 train --resum=x; says 'did you mean --resume'
expect 2 train; says '-o DIR'
expect 2 train digits -o a --resume b; says '--resume'
expect 2 train digits --resume b; says 'digits'
expect 2 train digits train.stps=3 -o a; says 'train.steps'
expect 1 train digits train.steps=soon -o a; says 'train.steps'
expect 1 train digits train.steps=-1 -o a; says 'train.steps'
absent a

expect 2 sample; says 'which model'
expect 2 sample a.safetensors; says '-o'
expect 2 sample a.safetensors b.safetensors -o a.png; says 'b.safetensors'
expect 2 sample a.safetensors -o a.jpg; says '.png or .npy'
expect 2 sample a.safetensors -o a.png -n x; says 'x'
expect 2 sample a.safetensors -o a.png -n -5; says '-n'
expect 2 sample a.safetensors -o a.png --guidance inf; says '--guidance'
expect 0 sample --help; prints '--grid'; prints 'dpmpp-2m '; prints 'unipc'; prints 'churn'; prints 'lower_order_final'
prints 'uniform'; prints 'w = gamma - 1'; prints 'guidance_scale'
expect 1 sample a.safetensors -o no/such/folder/a.png; says 'no/such/folder'
absent a.png no

expect 2 speed; says 'which recipe'
expect 2 speed unet-s --train --eval; says 'one of them'
expect 2 speed unet-s --sample --eval; says 'one of them'
expect 2 speed unet-s --precision f31; says 'f31'
expect 2 train --resume nowhere --precision f32; says 'leave --precision away'
expect 0 plan digits --precision bf16; prints 'bf16'
expect 0 plan digits precision=f32 --eval --json; is_json; prints '"precision":"f32"'
expect 0 plan digits --memory; prints 'MB in all'; prints 'gradients'
expect 0 plan digits --memory --eval --json train.memory=low; is_json; prints '"total_bytes":'
expect 1 plan digits train.memory=little; says 'auto|most|normal|low|least'
expect 2 plan; says 'which recipe'
expect 2 check; says '--kernels'
expect 2 check --kernels --isa avx3; says 'did you mean'
expect 2 check --kernels --kernel exp_f33; says "did you mean 'exp_f32'"
expect 2 check --kernels --sample -1; says '--sample'
expect 2 check --kernels exp_f32; says 'exp_f32'
expect 2 info; says 'about what'

expect 0 recipes; prints 'digits'; prints 'unet-s'
expect 0 recipes --json; is_json
expect 0 recipes --keys; prints 'train.steps'
expect 0 recipes digits train.steps=7; prints '"steps": 7'
expect 0 info cpu; prints 'threads'
expect 0 info cpu --json; is_json
expect 2 info cpu --bind everywhere; says 'auto, none, domain, core'
expect 0 info cpu --bind none; prints 'bind: none'

# More threads than processors: one warning with both numbers, on stderr, and the result all the same.
cpus=$(getconf _NPROCESSORS_ONLN)
expect 0 info cpu --threads $((cpus + 7)) --json; is_json
says "warning: $((cpus + 7)) threads"; says 'or fewer'
[ "$(wc -l <err)" = 1 ] || fail "not one line of warning"
(unset OMP_NUM_THREADS; "$EBB" info cpu >out 2>err) || fail "info cpu"
[ -s err ] && fail "a warning without a reason"
OMP_NUM_THREADS=$((cpus + 7)) "$EBB" info cpu >out 2>err
prints "threads: $((cpus + 7))"; says OMP_NUM_THREADS
OMP_PROC_BIND=true "$EBB" info cpu >out 2>err
prints "bind: OpenMP"

expect 0 check --kernels --sample 50; prints 'failures: 0'; prints 'cases'
expect 0 check --kernels --kernel exp_f32 --isa c --sample 5 --json; is_json; prints '"failures":0'

# Output that cannot be written is an error, not a signal; a reader that went away too.
"$EBB" recipes --keys >/dev/full 2>err
[ $? = 1 ] || fail "stdout on a full disk: wrong exit code"
says 'standard output'
"$EBB" recipes --keys >&- 2>err
[ $? = 1 ] || fail "closed stdout: wrong exit code"
says 'standard output'
{ sleep 0.2; "$EBB" recipes --keys 2>err; echo $? >code; } | true
[ "$(cat code)" = 1 ] || fail "broken pipe: exit code $(cat code), expected 1"
finish
