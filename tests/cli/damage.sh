# damage.sh: missing, truncated and bit-flipped files, wrong shapes, a full disk: exit code 1 with a
# message that names the file, never a signal, and no partial file.
. "$(dirname "$0")/lib.sh"
tiny
expect 0 train tiny.json -o run
model=run/model.safetensors

# refuses FILE COMMAND...: exit 1 and a message that names FILE.
refuses() {
    bad=$1
    shift
    expect 1 "$@"; says "$bad"
}

refuses no.safetensors sample no.safetensors -o a.png
refuses no.json train no.json -o new
refuses no.idx info no.idx
for cut in 0 1 7 8 9 100 1000 $(($(size_of $model) / 2)) $(($(size_of $model) - 1)); do
    cut_to $model "$cut" cut.safetensors
    refuses cut.safetensors sample cut.safetensors -o a.png
    refuses cut.safetensors info cut.safetensors
done
for at in 0 3 7 8 9 20 200 $(($(size_of $model) / 2)) $(($(size_of $model) - 1)); do
    cp $model flip.safetensors
    flip flip.safetensors "$at"
    "$EBB" sample flip.safetensors -n 1 --steps 1 --sampler ddim -o a.png >out 2>err </dev/null
    code=$?
    [ $code = 1 ] || fail "model with a flipped bit at $at: exit code $code, expected 1"
    says flip.safetensors
done
absent a.png

for cut in 0 9 100 300; do
    cut_to run/checkpoint.safetensors $cut cut.safetensors
    rm -rf broken
    mkdir broken
    cp run/log.jsonl broken
    cp cut.safetensors broken/checkpoint.safetensors
    refuses broken train --resume broken
    only broken log.jsonl checkpoint.safetensors
done

# Recipes: broken JSON, a wrong type, values that do not fit together.
for cut in 0 1 30 200; do
    cut_to tiny.json $cut cut.json
    refuses cut.json train cut.json -o new
done
sed 's/"steps": 4/"steps": "four"/' tiny.json >type.json
"$EBB" train type.json -o new >out 2>err </dev/null
code=$?
[ $code = 1 ] || [ $code = 2 ] || fail "wrong type in a recipe: exit code $code"
says steps
expect 1 train tiny.json net.groups=3 -o new; says groups
expect 1 train tiny.json train.batch=7 -o new; says shard
expect 1 train tiny.json data.size=30 net.mult=1,2,2,2 -o new; says 30

# Data: gzip and plain IDX, truncated and flipped; labels that are not labels; fewer labels than pictures.
images=$DATA/mnist/mnist-test-images-idx3-ubyte.gz labels=$DATA/mnist/mnist-test-labels-idx1-ubyte.gz
gzip -dc "$images" >plain.idx
refuses no.idx train tiny.json data.path=no.idx -o new
for cut in 0 3 4 15 16 1000; do
    cut_to plain.idx $cut cut.idx
    refuses cut.idx train tiny.json data.path=cut.idx -o new
    cut_to "$images" $cut cut.gz
    refuses cut.gz train tiny.json data.path=cut.gz -o new
done
for at in 0 2 3 4 8; do
    cp plain.idx flip.idx
    flip flip.idx $at
    refuses flip.idx train tiny.json data.path=flip.idx -o new
done
cp "$images" flip.gz
flip flip.gz 5000
refuses flip.gz train tiny.json data.path=flip.gz -o new
refuses ubyte train tiny.json "data.labels=$images" -o new
refuses ubyte train tiny.json "data.path=$labels" -o new

# npy: cut anywhere, wrong header.
expect 0 sample $model -n 2 --sampler ddim --steps 2 -o two.npy
for cut in 0 5 10 60 127 200; do
    cut_to two.npy $cut cut.npy
    refuses cut.npy info cut.npy
done
for at in 0 6 8 14; do
    cp two.npy flip.npy
    flip flip.npy $at
    refuses flip.npy info flip.npy
done
absent new

# A disk that takes nothing more: the size limit of files stands for it everywhere, a tiny tmpfs where
# root may mount one.
(ulimit -f 0; exec "$EBB" sample $model -n 2 --sampler ddim --steps 2 -o full.npy >/dev/null 2>err </dev/null)
code=$?
[ $code = 1 ] || fail "size limit: exit code $code, expected 1"
mkdir small
if mount -t tmpfs -o size=64k none small 2>/dev/null; then
    refuses small train tiny.json -o small/run
    find small -name '*.safetensors*' -o -name '.*tmp*' | grep -q . && fail "a partial file on the full disk"
    refuses small sample $model -n 400 --sampler ddim --steps 1 -o small/full.npy
    absent small/full.npy
    umount small
fi
absent full.npy a.png
finish
