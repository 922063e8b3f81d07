# main_job.sh: train, sample, look: files, shapes, equal bits with other threads, batches and after a cut.
. "$(dirname "$0")/lib.sh"
tiny

expect 0 train tiny.json -o run --json; is_json; prints '"interrupted":false'
for file in model.safetensors checkpoint.safetensors log.jsonl; do
    [ -s run/$file ] || fail "run/$file is missing"
done
grep -q 'step 4/4' err || fail "no progress line"
expect 1 train tiny.json -o run; says 'run'
expect 0 train tiny.json -o run1 --threads 1
cmp -s run/model.safetensors run1/model.safetensors || fail "1 thread trained other weights than all"
expect 0 train tiny.json -o run2 --threads 2 --bind core
cmp -s run/model.safetensors run2/model.safetensors || fail "threads bound to cores trained other weights"

model=run/model.safetensors
expect 0 sample $model --class all -n 20 --sampler ddim --steps 5 --columns 2 -o all.png
head -c 8 all.png | od -An -tx1 | grep -q '89 50 4e 47' || fail "all.png is no PNG"
expect 2 sample $model --class all -n 21 -o no.png; says 'multiple'
expect 2 sample $model --class all -n 20 --columns 3 -o no.png; says '--columns'
expect 2 sample $model --class 10 -o no.png; says '--class 10'
expect 2 sample $model --class seven -o no.png; says 'seven'
expect 2 sample $model --sampler ddimm -o no.png; says 'ddim'
expect 2 sample $model --sampler ddpm --eta 0.5 -o no.png; says "ddpm takes no 'eta'"
expect 2 sample $model --sampler ddim:snr=0.2 -o no.png; says 'it takes eta'
expect 2 sample $model --seed -1 -o no.png; says '--seed'
absent no.png

# Sample i of a seed is the same picture in any batch and with any number of threads.
expect 0 sample $model -n 4 --class 3 --seed 7 --sampler ddpm -o four.npy
expect 0 sample $model -n 4 --class 3 --seed 7 --sampler ddpm --threads 1 -o one_thread.npy
cmp -s four.npy one_thread.npy || fail "samples depend on threads"
expect 0 sample $model -n 1 --first 2 --class 3 --seed 7 --sampler ddpm -o third.npy --json; is_json
tail -c 784 third.npy >third
tail -c 1568 four.npy | head -c 784 >of_four
cmp -s third of_four || fail "sample 2 alone is not sample 2 of four"
expect 0 sample $model -n 4 --class 3 --seed 8 --sampler ddpm -o other.npy
cmp -s four.npy other.npy && fail "another seed draws the same pictures"
head -c 128 four.npy | grep -q "|u1.*(4, 28, 28, 1)" || fail "four.npy is not uint8 (4, 28, 28, 1)"

for file in $model run/checkpoint.safetensors four.npy "$DATA/mnist/mnist-test-images-idx3-ubyte.gz"; do
    expect 0 info "$file" --json; is_json
    expect 0 info "$file"
done
expect 0 plan tiny.json; prints 'MFLOP'; prints 'conv'
expect 0 plan tiny.json --eval --json; is_json
expect 0 speed tiny.json --train --seconds 0.1 --json; is_json; prints '"images_per_second"'
expect 0 speed tiny.json --eval --batch 8 --seconds 0.1 --json; is_json; prints '"images_per_second"'
expect 0 speed tiny.json --sample --batch 3 sample.steps=2 --seconds 0.01 --json; is_json; prints '"evaluations_per_second"'
expect 2 speed tiny.json --sample sample.sampler=dim; says 'ddim'
expect 0 speed tiny.json --train --seconds 0.1 --profile; prints 'GFLOP/s'; prints 'conv_pack'; prints 'outside'
expect 0 speed tiny.json --eval --seconds 0.1 --profile --json; is_json; prints '"profile"'
finish
