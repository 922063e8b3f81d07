# bench_model.sh: ebb bench of a trained model: metrics of pictures with floor and intervals, classes in turn, cells that are kept,
# results that do not depend on threads, a model of points that is refused.
. "$(dirname "$0")/lib.sh"
tiny
images="$DATA/mnist/mnist-test-images-idx3-ubyte.gz"
labels="$DATA/mnist/mnist-test-labels-idx1-ubyte.gz"

expect 0 train tiny.json -o run
run="run/model.safetensors --quick -n 40 --samplers ddim,unipc,heun --nfe 4,6 --reference 20 --data $images --labels $labels --keep judge"
expect 0 bench $run --resamples 10 -o b; prints 'frechet'; prints 'reference'; prints 'report.html'
only b results.json results.csv nfe.png seconds.png plots.gp report.html cells
grep -q '"name": "coverage"' b/results.json || fail "no coverage among the metrics"
grep -q '"kind": "model"' b/results.json || fail "it is not said that it is a model"
[ "$(grep -c '^cell,heun,even,0,6,3,5,' b/results.csv)" -ge 5 ] || fail "no rows of heun at 6 evaluations, which pay for 3 steps"
head -c 8 "$(ls b/cells/*.png | head -1)" | od -An -tx1 | grep -q '89 50 4e 47' || fail "no picture of a cell"

# Kept: neither cells nor the classifier are made again.
touch -d '2001-01-01' judge/models/*/model.safetensors
expect 0 bench $run --resamples 10 -o b --json; is_json; prints '"kept":true'
grep -q '"kept":false' out && fail "cells were measured again"
find judge/models -name model.safetensors -newermt '2002-01-01' | grep -q . && fail "the classifier was trained again"

# By three threads: the same but for seconds. Guidance asks two networks.
expect 0 bench $run --resamples 10 -o three --threads 3
for d in b three; do cut -d, -f1-12 $d/results.csv >$d.csv; done
cmp -s b.csv three.csv || fail "other results by three threads"
expect 0 bench run/model.safetensors --quick -n 40 --samplers ddim --nfe 4 --reference -1 --guidance 0,1 --resamples -1 --data "$images" \
    --labels "$labels" --keep judge -o g
grep -q '^cell,ddim,trailing,1,4,2,4,frechet,' g/results.csv || fail "guidance does not cost two evaluations a step"
expect 0 bench run/model.safetensors --quick -n 40 --samplers ddim --nfe 4 --reference -1 --class 3 --resamples -1 --data "$images" \
    --labels "$labels" --keep judge -o c --metric recall; prints 'recall'

# A pipeline of diffusers: beside the data that are named, as it does not say what it was trained on.
expect 0 train tiny.json process.table=single -o single
expect 0 convert single/model.safetensors -o folder
expect 1 bench folder --quick -n 40 --samplers ddim --nfe 4 -o x; says 'give data'
absent x/results.json
draw="--quick --precision f32 -n 40 --samplers ddim,unipc --nfe 4 --reference 20 --data $images --labels $labels --keep judge --resamples -1"
expect 0 bench folder $draw -o folder-b; prints 'unipc'
expect 0 bench single/model.safetensors $draw -o single-b
for d in folder single; do cut -d, -f1-12 $d-b/results.csv >$d.csv; done
cmp -s folder.csv single.csv || fail "the pipeline of a model is judged otherwise than the model"

# Data by the name of a recipe: the same as by the files that it names. Another size is refused before a classifier is trained.
printf '{"data": {"kind": "idx", "path": "%s", "labels": "%s", "size": 28}}\n' "$images" "$labels" >judges.json
expect 0 bench single/model.safetensors --quick --precision f32 -n 40 --samplers ddim,unipc --nfe 4 --reference 20 --data judges.json \
    --keep judge --resamples -1 -o recipe-b
cut -d, -f1-12 recipe-b/results.csv >recipe.csv
cmp -s recipe.csv single.csv || fail "other results beside the same data by a recipe"
sed 's/28/32/' judges.json >wide.json
expect 1 bench single/model.safetensors --quick -n 40 --data wide.json --keep none -o x; says '32x32x1'
absent none x/results.json

# The script of the plots draws them without a word, whatever the model is called: its name is a text there, not a command.
name=$(printf "it's\nsystem('touch broken')\n.safetensors")
cp single/model.safetensors "$name"
expect 0 bench "$name" $draw -o named
if command -v gnuplot >/dev/null; then
    (cd named && gnuplot plots.gp) >out 2>err || fail "gnuplot refuses plots.gp"
    [ ! -s err ] || fail "gnuplot complains of plots.gp"
    only named results.json results.csv nfe.png seconds.png plots.gp report.html cells nfe.svg seconds.svg
    grep -qF "it'\\\\''s" named/results.json || fail "the command to do it again does not quote a quote"
    grep -qE '(ddim|unipc), [a-z]+<' named/nfe.svg || fail "nfe.svg does not name the sampler on the front"
fi

# Stopped while the classifier is trained, or in a cell: exit code 3, and the same command goes on.
interrupt_when '[ "$(ls s/cells/*.json 2>/dev/null | wc -l)" -ge 2 ]' bench $run --resamples 10 -o s --nfe 4,6,800
only s cells

expect 1 bench run/model.safetensors --class 10 -o x; says 'class 10'
expect 1 bench run/model.safetensors --model m.safetensors -o x; says 'of laws'
expect 1 bench none.safetensors -o x; says 'none.safetensors'
expect 1 bench "$images" -o x; says 'mnist'
expect 2 bench $run -o x --metric frechett; says "did you mean 'frechet'"
expect 0 toy mixture --score train -n 100 --save t.safetensors train.steps=5 train.batch=64 train.shard=32 net.width=16 data.limit=1000
expect 1 bench t.safetensors -o x; says 'points'
finish
