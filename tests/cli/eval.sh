# eval.sh: a model and pictures judged from the command line: usage, what is refused, the JSON, files, a classifier that is trained
# once and cut, threads.
. "$(dirname "$0")/lib.sh"
digits="$DATA/mnist/mnist-test-images-idx3-ubyte.gz"
labels="$DATA/mnist/mnist-test-labels-idx1-ubyte.gz"
train="$DATA/mnist/mnist-train-images-idx3-ubyte.gz"

# The data: 300 digits; a model of them that is worth nothing, but has classes.
tiny
sed -i 's/"limit": 64/"limit": 300/' tiny.json
expect 0 train tiny.json -o run
model=run/model.safetensors

expect 0 eval --help; prints 'frechet'; prints 'bits-per-dim'; prints 'guidance'
expect 2 eval; says 'judge what'
expect 2 eval a b c; says '"c" is one too many'
expect 2 eval "$digits"; says 'beside which data'
expect 2 eval "$digits" tiny.json --steps 4; says 'of a model'
expect 2 eval "$digits" tiny.json --data tiny.json; says 'DATA twice'
expect 2 eval $model -n -1; says '-n'
expect 2 eval $model --class 10; says '--class 10'
expect 2 eval evil; says 'beside which data'
expect 2 evil; says 'did you mean "eval"'
expect 1 eval nowhere.safetensors; says 'nowhere.safetensors'
expect 1 eval nowhere.npy tiny.json --quick; says 'nowhere.npy'
expect 1 eval "$digits" nowhere.npy --quick; says 'nowhere.npy'
expect 1 eval "$digits" "$train" --quick; says 'no labels'
expect 1 eval "$digits" tiny.json --quick -n 5; says 'too few'
expect 1 eval "$digits" tiny.json --quick -n 1001; says 'it has 1000'
expect 1 eval $model --quick -n 3; says 'too few'
expect 2 eval $model --quick --sampler dim -n 8; says "did you mean 'ddim'"
expect 1 eval "$digits" tiny.json --quick -n 20 -o /dev/null/x; says '/dev/null'
expect 1 eval "$digits" tiny.json --inception nowhere.safetensors; says 'nowhere.safetensors'
expect 1 eval "$digits" "$train" --inception $model; says 'Conv2d_1a_3x3.conv.weight'
absent runs/experiments/results
rm -rf runs

# Pictures of another size than the data's.
expect 0 sample $model -n 4 --class 3 -o s.npy
sed 's/"limit": 300/"size": 32, "limit": 300/; s/"steps": 4/"steps": 2/' tiny.json >large.json
expect 0 train large.json -o large
expect 0 sample large/model.safetensors -n 20 --class all -o large.npy
expect 1 eval large.npy tiny.json --quick; says '32x32'
expect 1 eval large/model.safetensors --data tiny.json --quick; says '32x32x1'
absent runs

# A folder with a pipeline is a model, not a folder of pictures.
expect 0 train tiny.json process.table=single -o single
expect 0 convert single/model.safetensors -o folder
expect 1 eval folder --quick -n 40; says 'give data'
expect 0 eval folder --quick -n 40 --data tiny.json --keep k --resamples -1 --json; is_json; prints '"kind":"model"'
rm -rf k

# A model: every file, one line of JSON, all metrics; the same bits by one thread and by two, with a classifier that is kept.
expect 0 eval $model --quick -n 40 --keep k -o e --seed 3; prints 'frechet'; prints 'quick: nothing is claimed'; prints 'held-out'
only e results.json samples.npy samples.png metrics.png
[ "$(size_of e/samples.npy)" = $((128 + 40 * 784)) ] || fail "samples.npy is not 40 pictures"
grep -q '"classes": "as in the data"' e/results.json || fail "what classes were asked for is not told"
for name in frechet kid inception-score precision recall density coverage sliced-w2 chi-square copies; do
    grep -q "\"name\": \"$name\"" e/results.json || fail "no metric $name"
done
[ "$(ls k/models | wc -l)" = 1 ] || fail "not one classifier"
touch -d '2001-01-01' k/models/*/model.safetensors
expect 0 eval $model --quick -n 40 --keep k -o e1 --seed 3 --threads 1 --json; is_json
for key in '"kind":"model"' '"quick":true' '"evaluations":' '"reference":150' '"floor":40' '"floor_groups":3' '"held_out":30' '"accuracy":' '"floor_low":' \
    '"ratio":' '"better":"lower"' '"key":"'; do
    prints "$key"
done
for file in results.json samples.npy samples.png metrics.png; do
    cmp -s e/$file e1/$file || fail "$file depends on threads"
done
find k/models -name model.safetensors -newermt '2002-01-01' | grep -q . && fail "a kept classifier was trained again"

# The same pictures from their file, beside the same data, have the same numbers; so has one class other ones.
expect 0 eval e/samples.npy tiny.json --quick --keep k -o p
only p results.json samples.png metrics.png
cmp -s e/metrics.png p/metrics.png && fail "a chart of samples does not say so"
for file in e p; do sed -n '/"metrics"/,$p' $file/results.json >$file.metrics; done
cmp -s e.metrics p.metrics || fail "samples and their file are judged differently"
expect 0 eval $model --quick -n 20 --keep k --class 7 --sampler ddim --steps 3 --guidance 0 --resamples -1 --nll 3 --json; is_json
prints '"classes":7'; prints '"evaluations":3'; prints '"name":"bits-per-dim"'; prints '"low":null'; prints '"likelihood":{'

# Cut while the classifier is trained: nothing of the result; the same command goes on to the same bits.
interrupt_when '[ -s "$(echo cut/models/*/log.jsonl)" ]' eval $model --quick -n 40 --keep cut -o c --seed 3
only c
expect 0 eval $model --quick -n 40 --keep cut -o c --seed 3
cmp -s k/models/*/model.safetensors cut/models/*/model.safetensors || fail "a classifier that was cut has other bits"
for file in samples.npy samples.png metrics.png; do
    cmp -s e/$file c/$file || fail "$file: other bits after a cut"
done
finish
