# nll.sh: ebb nll: both methods, own and given data, classes, refusals, Ctrl-C.
. "$(dirname "$0")/lib.sh"

small="data.path=$DATA/mnist/mnist-train-images-idx3-ubyte.gz data.labels=$DATA/mnist/mnist-train-labels-idx1-ubyte.gz
  net.base=8 net.mult=1,2 net.blocks=1 net.groups=4 net.attention= train.steps=4 train.batch=8 train.save_every=0 train.sample_every=0"
test="$DATA/mnist/mnist-test-images-idx3-ubyte.gz"
labels="$DATA/mnist/mnist-test-labels-idx1-ubyte.gz"
# shellcheck disable=SC2086
expect 0 train digits $small process.kind=ddpm process.schedule=cosine process.steps=20 loss.times=uniform loss.t_min=0 sample.steps=20 net.variance=learned -o run
model=run/model.safetensors

expect 0 nll $model -n 2 --rtol 1e-1 --atol 1e-1; prints 'bits/dim (probability flow), 2 pictures'; prints '7 bits more'
expect 0 nll $model "$test" --labels "$labels" -n 3 --method elbo --json; is_json
prints '"conditional":true'; prints '"learned":'; prints '"fixed-small":'; prints '"times":"all"'; prints '"terms":'; prints '"seconds":'
cp out before
expect 0 nll $model "$test" --labels "$labels" -n 3 --method elbo --json --threads 1
[ "$(sed 's/"seconds".*//' before)" = "$(sed 's/"seconds".*//' out)" ] || fail "other numbers by one thread"
expect 0 nll $model "$test" --unconditional -n 2 --first 5 --method elbo --times 3 --decoder density --variance beta --each
prints '  5: '; prints '  6: '; prints 'density'
expect 1 nll $model "$test" -n 2; says 'conditional'
expect 1 nll $model "$test" --labels "$labels" -n 2 --first 9999999; says 'it has'
expect 1 nll $model no/such/file --unconditional; says 'no/such/file'
expect 1 nll nosuch.safetensors; says 'nosuch.safetensors'

expect 2 nll; says 'which model'
expect 2 nll $model a b; says 'b'
expect 2 nll $model --method elbow; says 'did you mean "elbo"'
expect 2 nll $model --method elbo --rtol 1e-3; says '--rtol is of --method ode'
expect 2 nll $model --times 5; says '--times is of --method elbo'
expect 2 nll $model --method elbo --times some; says 'some'
expect 2 nll $model --seed x; says '--seed'
expect 2 nll $model --labels "$labels"; says 'DATA'
expect 2 nll $model --exact --probes 3; says '--probes'
expect 2 nll $model -n -1; says '-n'
expect 2 nll $model --method elbo --variance small; says 'fixed-small'
expect 2 nll $model --divergence sings; says "did you mean 'signs'"
expect 0 nll --help; prints 'fixed-large'; prints 'tanh'

# Stopped in the middle: exit code 3, nothing on stdout.
stop_at_work nll $model --exact -n 100
finish
