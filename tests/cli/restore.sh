# restore.sh: ebb restore: tasks, masks, methods, given measurements, the same bits, refusals, Ctrl-C.
. "$(dirname "$0")/lib.sh"

small="data.path=$DATA/mnist/mnist-train-images-idx3-ubyte.gz data.labels=$DATA/mnist/mnist-train-labels-idx1-ubyte.gz
  net.base=8 net.mult=1,2 net.blocks=1 net.groups=4 net.attention= train.steps=4 train.batch=8 train.save_every=0 train.sample_every=0 optim.warmup=0"
test="$DATA/mnist/mnist-test-images-idx3-ubyte.gz"
# shellcheck disable=SC2086
expect 0 train digits $small process.kind=ddpm process.schedule=cosine process.steps=20 loss.times=uniform loss.t_min=0 sample.steps=20 -o run
model=run/model.safetensors

# Every method and task; what was measured without noise is met.
expect 0 restore $model "$test" --mask half:left -o a.png; prints 'PSNR'; prints '392 of 784 numbers measured'; prints '|y - H x| 0 '
head -c 8 a.png | od -An -tx1 | grep -q '89 50 4e 47 0d 0a 1a 0a' || fail "a.png is no PNG file"
for method in replacement repaint:jump_length=3,resamples=2 ddrm:eta=1 dps:zeta=1; do
    expect 0 restore $model "$test" --mask box:8x8 --method $method -n 2 --index 3 --pictures 2 --json -o b.npy; is_json
    prints '"consistency":0.0'; prints '"pictures":[{"picture":3'; prints "\"method\":\"$method\""
    [ "$(size_of b.npy)" = $((128 + 4 * 784)) ] || fail "b.npy has $(size_of b.npy) bytes"
done
for task in 'super-resolution --factor 2' 'deblur --blur 0.7' 'denoise --sigma 0.3' 'super-resolution --sigma 0.1' 'inpaint --mask random:0.9 --sigma 0.2'; do
    # shellcheck disable=SC2086
    expect 0 restore $model "$test" --task $task -n 1 -o c.png; prints 'restorations each, by ddrm in 20 evaluations'
done

# Copy c of picture i is the same whatever is made beside it, by any threads.
expect 0 restore $model "$test" --mask box:8x8 --sigma 0.1 --index 2 --pictures 4 -n 3 --seed 7 -o all.npy
expect 0 restore $model "$test" --mask box:8x8 --sigma 0.1 --index 4 -n 2 --seed 7 --threads 1 -o one.npy
tail -c +$((129 + 6 * 784)) all.npy | head -c $((2 * 784)) >part
tail -c +129 one.npy | cmp -s - part || fail "a restoration depends on what is made beside it"
expect 0 restore $model "$test" --mask box:8x8 --sigma 0.1 --index 4 -n 2 --seed 8 -o other.npy
cmp -s one.npy other.npy && fail "another seed made the same"

# Known pixels keep their bytes: of the picture alone, restored again as a measurement with another mask.
expect 0 restore $model "$test" --mask box:8x8 --index 1 --plain -o first.png
expect 0 restore $model first.png --given --mask half:top --plain -o second.png; prints '|y - H x| 0 '
expect 0 restore $model second.png --mask half:top -n 1 --method ddrm -o third.npy
expect 0 restore $model first.png --mask half:top -n 1 --method ddrm -o fourth.npy
cmp -s third.npy fourth.npy || fail "known pixels changed their bytes"
expect 0 restore $model first.png --mask first.png -n 1 --class 3 -o m.npy
expect 0 restore $model first.png --given --task denoise --sigma 0.3 -o d.png --json; is_json; prints '"given":true'
grep -q psnr out && fail "a PSNR without a truth"

# By every method known pixels (here the lower half, contiguous) are the picture's bytes, in an array and in a PNG that is read again.
expect 0 sample $model --class 5 -n 1 -o truth.npy
for method in replacement repaint:jump_length=3,resamples=2 ddrm dps:zeta=1 'dps:zeta=1 --class 5 --guidance 1'; do
    # shellcheck disable=SC2086
    expect 0 restore $model truth.npy --mask half:top --method $method -n 1 -o k.npy; prints '|y - H x| 0 '
    tail -c 392 truth.npy >want
    tail -c 392 k.npy | cmp -s - want || fail "$method: known pixels have other bytes"
    head -c 520 k.npy | tail -c 392 >filled
    head -c 520 truth.npy | tail -c 392 | cmp -s - filled && fail "$method: hidden pixels were not hidden"
    # shellcheck disable=SC2086
    expect 0 restore $model truth.npy --mask half:top --method $method --plain -o k.png
    expect 0 restore $model k.png --mask half:top -n 1 -o again.npy
    tail -c 392 again.npy | cmp -s - want || fail "$method: known pixels of the PNG have other bytes"
done

# Guidance: conventions, the class alone, none; who is asked how often.
fill() { expect 0 restore $model truth.npy --mask half:top -n 1 --json -o "$1.npy" $2; is_json; }
fill g '--class 3 --guidance 1.5'; prints '"evaluations":40'; prints '"guidance":1.5'
fill same '--class 3 --guidance scale:2.5'
cmp -s g.npy same.npy || fail "--guidance scale:2.5 is another strength than 1.5"
fill class '--class 3'; prints '"evaluations":20'
cmp -s g.npy class.npy && fail "guidance does nothing"
fill same '--class 3 --guidance 0'
cmp -s class.npy same.npy || fail "--guidance 0 is not the class alone"
fill none ''
fill same '--class 3 --guidance -1'; prints '"evaluations":20'
cmp -s none.npy same.npy || fail "--guidance -1 is not no class"
fill part '--class 3 --guidance 1.5 --guidance-interval 0.3,2'
cmp -s part.npy g.npy && fail "an interval does nothing"

# Colours of a grey picture: only a model of three channels has them.
cat >colours.json <<JSON
{"data": {"kind": "synthetic", "size": 8, "channels": 3, "limit": 50}, "process": {"steps": 20}, "sample": {"steps": 10},
 "net": {"kind": "unet", "base": 8, "mult": [1, 2], "blocks": 1, "groups": 4}, "train": {"steps": 3, "batch": 8, "shard": 4}}
JSON
expect 0 train colours.json -o colours
expect 0 sample colours/model.safetensors -n 2 -o truth.npy
expect 0 restore colours/model.safetensors truth.npy --task colorize --pictures 2 --method dps -n 2 -o colours.png
prints '64 of 192 numbers measured (colorize)'

expect 2 restore; says 'which model'
expect 2 restore $model; says 'which picture'
expect 2 restore $model a b -o x.png; says 'one too many'
expect 2 restore $model "$test"; says '-o'
expect 2 restore $model "$test" -o x.gif; says '.png or .npy'
expect 2 restore $model "$test" -o x.png --task inpant; says "did you mean 'inpaint'"
expect 2 restore $model "$test" -o x.png --mask bax:3x3; says "did you mean 'box'"
expect 2 restore $model "$test" -o x.png --mask box:3x3 --method dds; says "did you mean 'dps'"
expect 2 restore $model "$test" -o x.png --mask box:3x3 --method dps:zetta=1; says "did you mean 'zeta'"
expect 2 restore $model "$test" -o x.png --mask box:3x3 --method dps:eta=1; says "takes no 'eta'"
expect 2 restore $model "$test" -o x.png --mask box:3x3 --class 10; says '0 to 9'
expect 2 restore $model "$test" -o x.png --mask box:3x3 --seed x; says '--seed'
expect 2 restore $model "$test" -o x.png --mask box:3x3 --class 3 --guidance scle:2; says "did you mean 'scale'"
expect 2 restore $model "$test" -o x.png --mask box:3x3 --class 3 --guidance 1 --guidance-interval 3; says 'LOW,HIGH'
expect 1 restore $model "$test" -o x.png --mask box:3x3 --guidance 1; says 'needs a class'
expect 2 restore $model "$test" -o x.png --sigma -1; says '--sigma'
expect 2 restore $model "$test" -o x.png --plain -n 2; says '--plain'
expect 2 restore $model "$test" -o x.png --mask box:3x3 --precision f31; says 'f31'
expect 1 restore $model "$test" -o x.png; says 'give a mask'
expect 1 restore $model "$test" -o x.png --mask box:30x3; says '28 x 28'
expect 1 restore $model "$test" -o x.png --task denoise; says 'sigma'
expect 1 restore $model "$test" -o x.png --task colorize; says '1 channels'
expect 1 restore $model "$test" -o x.png --task super-resolution --factor 3; says '3 x 3'
expect 1 restore $model "$test" -o x.png --task denoise --sigma 1 --mask box:3x3; says 'takes no mask'
expect 1 restore $model "$test" -o x.png --task deblur --factor 2; says 'takes no factor'
expect 1 restore $model "$test" -o x.png --mask box:3x3 --index 99999; says 'it has'
expect 1 restore $model "$test" -o x.png --mask box:3x3 --method repaint:resamples=1.5; says 'whole'
expect 1 restore $model no/such.png -o x.png --mask box:3x3; says 'no/such.png'
expect 1 restore nosuch.safetensors "$test" -o x.png --mask box:3x3; says 'nosuch.safetensors'
expect 1 restore $model a.png -o x.png --given --task super-resolution; says 'a.png'
absent x.png x.gif
expect 0 restore --help; prints 'repaint'; prints 'outside'; prints 'super-resolution'; prints 'eta_b'; prints 'isachenko'

# Stopped in the middle: exit code 3, nothing on stdout, no picture.
stop_at_work restore $model "$test" --mask box:8x8 --method repaint:resamples=1000,jump_length=5 --pictures 40 -o s.png
absent s.png
finish
