# guidance.sh: ebb sample and ebb toy, guided: conventions, interval, weaker models, refusals.
. "$(dirname "$0")/lib.sh"

tiny
expect 0 train tiny.json -o run
expect 0 train tiny.json net.base=4 train.steps=2 -o weak
model=run/model.safetensors
draw() { expect "$1" sample $model -n 2 --steps 4 --seed 3 -o "$2.npy" $3 --json; }

# One strength, its names.
draw 0 w '--class 7 --guidance 1.5'; is_json; prints '"nfe":8'
for same in ho:1.5 ilin:1.5 isachenko:2.5 scale:2.5; do
    draw 0 same "--class 7 --guidance $same"
    cmp -s w.npy same.npy || fail "--guidance $same is another strength than 1.5"
done
draw 0 none '--class 7 --guidance -1'; prints '"nfe":4'
draw 0 bare ''
cmp -s none.npy bare.npy || fail "--guidance -1 differs from no class"
draw 0 anti '--class 7 --guidance -2'; prints '"nfe":8'
cmp -s none.npy anti.npy && fail "--guidance -2 is -1"
draw 0 part '--class 7 --guidance 1.5 --guidance-interval 0.3,2'
draw 0 auto "--guidance 1.5 --guide-model weak/model.safetensors"; prints '"nfe":8'
cmp -s auto.npy bare.npy && fail "a weaker model leads nowhere"

draw 2 no '--class 7 --guidance scle:2'; says "did you mean 'scale'"
draw 2 no '--class 7 --guidance-interval 3'; says 'LOW,HIGH'
draw 2 no '--class 7 --guidance-interval 3,2'; says 'LOW < HIGH'
draw 1 no '--guidance 1'; says 'needs a class'
draw 1 no '--guide-model weak/model.safetensors'; says 'how strongly'
draw 1 no '--guidance 1 --guide-model nosuch.safetensors'; says 'nosuch.safetensors'
expect 0 train tiny.json process.steps=60 train.steps=1 -o other
draw 1 no '--guidance 1 --guide-model other/model.safetensors'; says 'process'
absent no.npy
expect 0 sample --help; prints 'isachenko'; prints '--guide-model'; prints 'Kynkaanniemi'

# A classifier, of digits without classes too.
expect 0 train tiny.json net.kind=classifier loss.kind=classification -o judge; prints 'ebb classify'
grep -q '"accuracy":' judge/log.jsonl || fail "log.jsonl has no accuracy"
judge=judge/model.safetensors
draw 0 led "--class 7 --guidance -1 --classifier $judge --classifier-scale 3"; prints '"nfe":8'
cmp -s led.npy none.npy && fail "a classifier leads nowhere"
draw 0 led "--class 7 --sampler ddpm --classifier $judge --classifier-form mean --guidance 1"; prints '"nfe":12'
expect 0 train tiny.json net.classes=0 data.labels= train.steps=1 -o bare
expect 0 sample bare/model.safetensors --class all -n 10 --steps 2 --classifier $judge -o all.png
draw 1 no "--classifier $judge"; says 'leads to a class'
draw 1 no "--class 7 --classifier $model"; says 'tells no classes'
draw 2 no '--class 7 --classifier-scale 3'; says 'give that too'
draw 1 no "--class 7 --classifier $judge --classifier-form mean"; says 'take the form epsilon'
expect 1 sample $judge -o no.png; says 'is a classifier'
expect 1 nll $judge -n 2; says 'is a classifier'
expect 1 restore $judge "$DATA/mnist/mnist-test-images-idx3-ubyte.gz" -n 1 -o no.png; says 'is a classifier'
expect 0 classify $judge -n 40 --levels 3; prints 'cross_entropy'; prints 'labelled'
expect 0 classify $judge w.npy --json; is_json; prints '"labelled":false'
expect 0 classify $judge "$DATA/mnist/mnist-test-images-idx3-ubyte.gz" --labels "$DATA/mnist/mnist-test-labels-idx1-ubyte.gz" -n 30 --seed 2 --json
is_json; prints '"labelled":true'
expect 1 classify $model; says 'tells no classes'
expect 2 classify; says 'which classifier'
expect 2 classify a b c; says 'c'
expect 2 classify $judge --labels x; says 'give both'
expect 2 classify $judge -n -1; says '-n'
expect 0 classify --help; prints '--levels'

# Exact laws.
expect 0 toy digits-1d --class 7 --guidance scale:0.5 -n 300 --resamples -1 --json; prints '"guidance":-0.5'
expect 0 toy digits-1d --class 7 --guidance-interval 0.1,3 --guidance 1 -n 300 --resamples -1
expect 0 toy digits-1d --class 7 --classifier-scale 1 --classifier-form mean --sampler ddpm --steps 50 -n 300 --resamples -1
expect 1 toy digits-1d --class 7 --classifier-scale 1 --classifier-form mean -n 300; says 'take the form epsilon'
expect 1 toy digits-1d --classifier-scale 1 -n 300; says 'needs a class'
expect 2 toy digits-1d --class 7 --classifier-form mean -n 300; says 'give both'
expect 2 toy digits-1d --class 7 --classifier-scale 1 --classifier-form men -n 300; says "did you mean 'mean'"
expect 2 toy digits-1d --class 7 --guidance x -n 300; says '--guidance'
expect 2 toy digits-1d --class 7 --guidance 1 --guidance-interval 1,x -n 300; says 'LOW,HIGH'
expect 1 toy digits-1d --class 7 --classifier-scale 1 --guidance -1 --sampler mala -n 300; says 'mala'
finish
