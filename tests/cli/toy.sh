# toy.sh: ebb toy: laws, samplers, jobs, pictures, refusals, Ctrl-C.
. "$(dirname "$0")/lib.sh"

expect 0 toy --list; prints 'checkerboard'; prints 'modes=8,radius=1.5,sd=0.1'
expect 0 toy --list --json; is_json
expect 0 toy mixture -n 500 -o m.png; prints 'sliced-w2'; prints 'floor'; prints 'from the exact probability flow'; prints 'm.png written'
head -c 8 m.png | od -An -tx1 | grep -q '89 50 4e 47 0d 0a 1a 0a' || fail "m.png is no PNG file"
expect 0 toy ring:modes=3,sd=0.2 -n 300 --sampler euler-maruyama --steps 30 --process ve:sigma_max=20 --seed 3 --json; is_json
prints '"random":true'; prints '"chi_square":'; prints '"process":"ve"'
cp out before
expect 0 toy ring:modes=3,sd=0.2 -n 300 --sampler euler-maruyama --steps 30 --process ve:sigma_max=20 --seed 3 --json --threads 3
cmp -s before out || fail "other numbers by three threads"
expect 0 toy digits-1d --class 7 --guidance -0.5 -n 300 -o x.npy; prints 'x.npy written'
[ "$(size_of x.npy)" = 2528 ] || fail "x.npy has $(size_of x.npy) bytes"
expect 0 toy mixture --compare --nfe 10 -n 200 --sampler heun+ddim+ddpm-learned; prints 'flow_error'; prints '(true points)'; prints 'ddpm-learned: '
expect 0 toy mixture --convergence --sampler heun+ddim -o orders.png; prints '384 steps'
expect 0 toy gaussian:dim=1 --convergence --sampler ddpm; prints 'law (w2)'; prints 'bound'
expect 0 toy two-modes:separation=4 --panels -n 300 -o panels.png; prints 'spectral gap'; prints 'crossed'
expect 0 toy two-modes --score train -n 200 --save t.safetensors train.steps=30 train.batch=64 train.shard=32 net.width=16 data.limit=1000
prints 'Fisher divergence'; prints 'trained 30 steps'
expect 0 toy two-modes --model t.safetensors -n 200 --sampler ddim --steps 10 --resamples -1; prints 'model score'
expect 0 toy mixture --restore -n 100 --steps 40 --sampler replacement+repaint:resamples=2+dps --sigma 0.2 -o restored.png
prints 'mean_error'; prints 'repaint:resamples=2'; prints '(true points)'; prints 'restored.png written'
expect 0 toy gaussian:dim=1 --restore -n 100 --steps 10 --sigma 0.5 --json; is_json; prints '"task":"denoise"'; prints '"posterior_mean":['
cp out before
expect 0 toy gaussian:dim=1 --restore -n 100 --steps 10 --sigma 0.5 --json --threads 3
cmp -s before out || fail "other restorations by three threads"
expect 0 toy mixture --score train -n 200 --save s.safetensors --class 1 train.steps=30 train.batch=64 train.shard=32 net.width=16 data.limit=1000
expect 0 toy mixture --restore -n 100 --steps 20 --sampler replacement+dps --sigma 0.2 --json; is_json
cp out exact
for class in '' '--class 1'; do
    expect 0 toy mixture --restore -n 100 --steps 20 --sampler replacement+dps --sigma 0.2 $class --json --model s.safetensors; is_json
    prints '"score":"model"'; prints '"method":"dps"'
    cmp -s exact out && fail "a learned score restores as the exact one"
    cp out before
    expect 0 toy mixture --restore -n 100 --steps 20 --sampler replacement+dps --sigma 0.2 $class --json --model s.safetensors --threads 3
    cmp -s before out || fail "other restorations with a learned score by three threads"
done
expect 1 toy mixture --restore --score train; says 'trains nothing'

expect 2 toy; says 'which law'
expect 2 toy mixtur; says "did you mean 'mixture'"
expect 2 toy ring:mode=3; says "did you mean 'modes'"
expect 2 toy mixture --sampler heum; says "did you mean 'heun'"
expect 2 toy mixture --sampler edm:chrn=1; says "did you mean 'churn'"
expect 2 toy mixture --sampler heun:churn=40; says "heun takes no 'churn'"
expect 2 toy mixture --grid uniform:rho=7; says "it takes t_start"
expect 2 toy mixture --process vb; says "did you mean 'vp'"
expect 2 toy mixture --grid karas; says "did you mean 'karras'"
expect 2 toy mixture --score trained; says "did you mean 'train'"
expect 2 toy mixture train.step=3; says "did you mean 'train.steps'"
expect 2 toy mixture other; says 'other'
expect 2 toy mixture -o x.gif; says '.png or .npy'
expect 2 toy mixture --compare --panels; says 'one of them'
expect 2 toy mixture --nfe 5; says '--compare'
expect 2 toy mixture --seed x; says '--seed'
expect 2 toy mixture --class x; says '--class'
expect 2 toy mixture -n -3; says '-n'
expect 2 toy mixture --guidance inf; says 'finite'
expect 2 toy mixture --sigma 1; says '--restore'
expect 2 toy mixture --restore --task deblur; says 'task of points'
expect 2 toy mixture --restore --sampler ddrn; says "did you mean 'ddrm'"
expect 1 toy gaussian:dim=1 --restore; says 'sigma'
expect 2 toy --list mixture; says '--list'
expect 1 toy mixture --class 5; says '0..1'
expect 1 toy mixture --guidance 1; says 'needs a class'
expect 1 toy mixture --panels; says 'two modes on a line'
expect 1 toy high -o h.png; says '8 dimensions'
expect 1 toy mixture --model none.safetensors; says 'none.safetensors'
expect 1 toy mixture -o none/x.png; says 'none'
expect 1 toy mixture --save m.safetensors; says 'train'
absent x.gif h.png m.safetensors none
expect 0 toy --help; prints 'two-modes'; prints 'sliced-w2'; prints 'karras'

# Stopped in the middle: exit code 3, nothing on stdout, no picture.
stop_at_work toy mixture -n 200000 --steps 2000 -o s.png
absent s.png
finish
