# latent.sh: ebb latent: all verbs, classes, samplers, codes and pictures of files, refusals, Ctrl-C.
. "$(dirname "$0")/lib.sh"

small="data.path=$DATA/mnist/mnist-train-images-idx3-ubyte.gz data.labels=$DATA/mnist/mnist-train-labels-idx1-ubyte.gz
  net.base=8 net.mult=1,2 net.blocks=1 net.groups=4 net.attention= train.steps=4 train.batch=8 train.save_every=0 train.sample_every=0"
test="$DATA/mnist/mnist-test-images-idx3-ubyte.gz"
labels="$DATA/mnist/mnist-test-labels-idx1-ubyte.gz"
# shellcheck disable=SC2086
expect 0 train digits $small process.kind=ddpm process.schedule=cosine process.steps=20 loss.times=uniform loss.t_min=0 sample.steps=20 -o run
model=run/model.safetensors
loose="--rtol 1e-2 --atol 1e-2"

# Codes are f64 in the shape of pictures, the same by any threads, and go there and back.
# shellcheck disable=SC2086
{
expect 0 latent encode $model "$test" --labels "$labels" -n 3 $loose --json -o codes.npy; is_json
prints '"pictures":3'; prints '"round_trip":{"rms":'; prints '"nfe":{"mean":'; prints '"nfe_back":'; prints '"seconds":'
expect 0 latent encode $model "$test" --labels "$labels" -n 3 $loose --threads 1 -o one.npy; prints 'deviation: '
cmp -s codes.npy one.npy || fail "other codes by one thread"
expect 0 info codes.npy --json; prints '"type":"f","item_bytes":8,"shape":[3,28,28,1]'
expect 0 latent encode $model "$test" --unchecked -n 1 $loose --first 2 -o plain.npy
grep -q round_trip out && fail "measured though it was told not to"
cmp -s codes.npy plain.npy && fail "the class makes no difference"

expect 0 latent decode $model codes.npy --labels "$labels" $loose -o again.png
expect 0 info again.png; prints 'png'
expect 0 latent decode $model codes.npy --class 7 --first 1 -n 2 --guidance 0.5 $loose -o again.npy --json; is_json; prints '"pictures":2'
expect 0 info again.npy --json; prints '"type":"f","item_bytes":4,"shape":[2,28,28,1]'
# Floats go back in as they came out.
expect 0 latent encode $model again.npy --class 7 --guidance 0.5 --unchecked $loose -o back.npy; prints 'pictures: 2'
expect 0 latent decode $model codes.npy --sampler dpmpp-2m --steps 4 -o by.npy --json; prints '"nfe":{"mean":4.0,"most":4}'

expect 0 latent interpolate $model 0 1 -n 4 $loose --json -o strip.png; is_json; prints '"path":"spherical"'; prints '"moves":['
prints '"degrees":'
grep -q round_trip out && fail "a round trip of no picture"
expect 0 latent interpolate $model "$test:5" codes.npy:2 -n 3 --path linear --class 3 $loose -o strip.npy --json
prints '"round_trip":[{"rms":'; prints ',null]'; prints '"pictures":3'
expect 0 sample $model -n 1 --steps 2 -o one.npy
expect 0 latent interpolate $model one.npy:0 7 -n 2 $loose -o strip.png --sampler ddim --steps 3 --json; prints '"most":3'
expect 0 latent temperature $model --values 0.5,1 -n 2 $loose -o hot.png --json; is_json; prints '"temperature":0.5,"spread":'
expect 0 latent temperature $model --class all --sampler heun --steps 3 --values 1 -o hot.npy
prints 'pictures: 10'
}

# What files can be wrong with.
expect 1 latent decode $model nowhere.npy -o x.png; says 'nowhere.npy'
expect 1 latent decode $model again.npy -o x.png; says 'float64'
expect 1 latent decode $model $model -o x.png; says 'npy'
expect 1 latent decode $model codes.npy --first 9 -o x.png; says 'it has 3'
expect 1 latent decode $model codes.npy --labels "$labels" --first 1 -n 3 -o x.png; says 'it has 3'
expect 1 latent decode $model codes.npy --labels "$test" -o x.png; says 'one axis'
cut_to codes.npy 9000 cut.npy
expect 1 latent decode $model cut.npy -o x.png; says 'cut.npy'
{ head -c 128 codes.npy; head -c 18816 /dev/zero | tr '\0' '\377'; } >nan.npy
expect 1 latent decode $model nan.npy -o x.png; says 'code 0 holds a NaN'
printf '\223NUMPY\001\000v\000%-117s\n' "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 9), }" >wrong.npy
head -c 144 /dev/zero >>wrong.npy
expect 1 latent decode $model wrong.npy -o x.png; says '9 numbers a code'
expect 1 latent encode $model hot.png -o x.npy; says 'data.size'
expect 1 latent encode $model nowhere.png -o x.npy; says 'nowhere.png'
expect 1 latent encode $model "$test" --first 99999 -n 1 -o x.npy; says 'it has'
expect 1 latent encode nowhere.safetensors "$test" -o x.npy; says 'nowhere'
expect 1 latent interpolate $model 0 "$test:99999999" -o x.png; says 'it has'
expect 1 latent interpolate $model 0 99999999999 -o x.png; says '99999999999'
expect 1 latent temperature $model --sampler euler-ancestral -o x.png; says 'draws noise'
expect 1 latent encode $model "$test" --guidance 1 -n 1 -o x.npy; says 'class'

# What can be wrong with the line.
expect 2 latent; says 'what to do'
expect 2 latent encoed $model; says 'did you mean "encode"'
expect 2 latent encode; says 'which model'
expect 2 latent encode $model -o x.npy; says 'PICTURES'
expect 2 latent encode $model a b -o x.npy; says '"b" is one too many'
expect 2 latent encode $model a; says '-o FILE.npy'
expect 2 latent encode $model a -o x.png; says '.npy'
expect 2 latent decode $model a -o x.jpg; says '.png or .npy'
expect 2 latent encode $model a -o x.npy --sampler ddim; says '--sampler is not of encode'
expect 2 latent decode $model a -o x.png --values 1; says '--values is not of decode'
expect 2 latent temperature $model -o x.png --path linear; says '--path is not of temperature'
expect 2 latent temperature $model -o x.png --values 1,a; says '1,a'
expect 2 latent temperature $model -o x.png --values -1; says '-1'
expect 2 latent temperature $model -o x.png --class 10; says '0 to 9'
expect 2 latent temperature $model -o x.png --class all -n 3; says '10 classes'
expect 2 latent interpolate $model 0 1 -o x.png --path round; says 'spherical'
expect 2 latent interpolate $model 0 1 -o x.png --class all; says '0 to 9'
expect 2 latent decode $model a -o x.png --steps 3; says '--sampler'
expect 2 latent decode $model a -o x.png --class 1 --labels b; says 'one of them'
expect 2 latent decode $model a -o x.png --rtol 2; says '--rtol'
expect 2 latent temperature $model -o x.png --seed x; says '--seed'
expect 1 latent decode $model a -o no/folder/x.png; says 'no/folder'
absent x.png x.npy x.jpg

# Stopped in the middle: exit code 3, nothing written.
stop_at_work latent temperature $model -n 100 --rtol 1e-7 --atol 1e-7 -o x.png
absent x.png
finish
