# diffusers.sh: pipelines of diffusers in ebb info, sample, convert, compare and dump: results, exit codes, refusals.
. "$(dirname "$0")/lib.sh"
refs=$(cd "$DATA/../tests/refs" && pwd)
cifar=$refs/unet_ddpm_cifar10_style
fish=$refs/unet_butterflies_style

expect 0 info $cifar; prints 'diffusers'; prints 'DDPMScheduler'; prints '103,875'
expect 0 info $fish --json; is_json; prints '"classes":11'; prints '"sampler":"ddpm-large:final_noise=1"'
expect 0 sample $cifar --steps 5 -n 4 -o a.png
expect 0 sample $cifar --steps 5 -n 4 --sampler ddim --json -o a.npy; is_json; prints '"nfe":5'
expect 1 sample $fish --steps 3 -n 1 -o no.png; says 'always needs a class'
expect 0 sample $fish --steps 3 -n 1 --class 10 -o b.png
mkdir empty
expect 1 sample empty -o no.png; says 'no pipeline of diffusers'
cp -r $cifar theirs; rm theirs/unet/*.safetensors; : >theirs/unet/diffusion_pytorch_model.bin
expect 1 sample theirs -o no.png; says 'pickle'
cp -r $cifar odd; sed 's/fixed_large/fixed_large_log/' $cifar/scheduler/scheduler_config.json >odd/scheduler/scheduler_config.json
expect 1 sample odd -o no.png; says 'fixed_large_log'; says 'choose a sampler'
expect 0 sample odd --sampler dpmpp-2m --steps 3 -n 1 -o c.png
absent no.png

# There and back: the same weights, the same pictures.
tiny
expect 0 train tiny.json process.table=single -o run
model=run/model.safetensors
expect 0 convert $model -o ours; prints 'diffusers'
[ -f ours/model_index.json ] && [ -f ours/unet/config.json ] && [ -f ours/scheduler/scheduler_config.json ] || fail "files are missing"
grep -q '"num_class_embeds": 11' ours/unet/config.json || fail "no row for no class"
expect 0 convert ours -o back.safetensors --json; is_json; prints '"kind":"model"'
draw() { expect 0 sample $1 --class 3 --guidance 1 --sampler dpmpp-2m --steps 4 -n 2 -o $2.npy; }
draw $model one; draw ours two; draw back.safetensors three
cmp -s one.npy two.npy || fail "the pipeline draws other pictures than its model"
cmp -s one.npy three.npy || fail "the model of the pipeline draws other pictures"
expect 0 convert back.safetensors -o again
cmp -s ours/unet/diffusion_pytorch_model.safetensors again/unet/diffusion_pytorch_model.safetensors || fail "weights have changed"
expect 1 convert $model -o ours; says 'not empty'
expect 1 convert ours -o elsewhere; says '.safetensors'
expect 2 convert; says 'which model'
expect 2 convert $model; says 'where to'
expect 0 train tiny.json net.classes=0 data.labels= process.kind=vp train.steps=1 -o other
expect 1 convert other/model.safetensors -o no; says 'process.kind=vp'
expect 0 train tiny.json net.classes=0 data.labels= net.kind=ddpmpp train.steps=1 -o other2
expect 1 convert other2/model.safetensors -o no; says 'net.kind=ddpmpp'
absent no

# Held against references.
for ref in $cifar $fish $refs/unet_scale_shift_resnet_updown; do
    expect 0 compare $ref $ref/io.json; prints 'output'; prints 'deviating: 0'
    expect 1 compare $ref $ref/io.json --tolerance 1e-12; says 'the first is output'
done
expect 0 dump $model -n 3 --seed 5 -o dump.safetensors --json; is_json
expect 0 compare $model dump.safetensors --tolerance 0 --json; is_json; prints '"first":null'; prints 'mid_block.attentions.0.to_q'
expect 0 compare ours dump.safetensors --tolerance 0
expect 0 dump ours --inputs dump.safetensors -o dump2.safetensors
cmp -s dump.safetensors dump2.safetensors || fail "the same inputs give another dump"
expect 0 compare $model dump.safetensors --fast --tolerance 1e-3
expect 0 train tiny.json process.table=single train.seed=9 -o stranger
expect 1 compare stranger/model.safetensors dump.safetensors; says 'the first is time_embedding.linear_1'
expect 1 compare $cifar dump.safetensors; says 'input'
expect 2 compare $model dump.txt; says '.npz'
expect 2 compare $model; says 'what with what'
expect 2 compare $model dump.safetensors --tolerance -1; says '--tolerance'
expect 2 dump $model -o dump.npy; says '.safetensors'
for command in convert compare dump; do
    expect 0 $command --help; prints "Usage: ebb $command"; prints '--json'
done
finish
