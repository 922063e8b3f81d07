# experiment.sh: experiments from the command line: list, wrong names, results that are kept, training that is cut and goes on,
# models that are used again.
. "$(dirname "$0")/lib.sh"

expect 0 experiment --list; prints 'langevin'; prints 'E17'; prints 'models: digits'
expect 0 experiment --list --json; is_json; prints '"models":"digits"'
expect 2 experiment; says 'which experiment'
expect 2 experiment langevn; says "did you mean 'langevin'"
expect 2 experiment langevin determinism; says 'determinism'
expect 2 experiment langevin --again; says '--again'
expect 2 experiment --list all; says '--list'
absent runs

# Quick: marked, nothing claimed.
expect 0 experiment langevin --quick -o q; prints 'quick: 0 of 0 figures pass'; prints 'spectral gap'
only q langevin-quick.png results
only q/results langevin-quick.json
grep -q '"quick": true' q/results/langevin-quick.json || fail "a quick result is not marked"
grep -q '"pass": true' q/results/langevin-quick.json && fail "a quick result claims something"

# Cut in the middle of training: nothing of the result, and the next run goes on to the bits of an uncut one.
expect 0 experiment determinism --quick -o uncut --json; is_json; prints '"state":"quick"'
interrupt_when '[ -s "$(echo cut/models/*/log.jsonl)" ]' experiment determinism --quick -o cut
absent cut/results/determinism-quick.json cut/determinism-quick.png
expect 0 experiment determinism --quick -o cut
cmp -s uncut/models/*/model.safetensors cut/models/*/model.safetensors || fail "a training that was cut has other bits"
cmp -s uncut/determinism-quick.png cut/determinism-quick.png || fail "and so has the picture"

# A model that is there is loaded, not trained again; one that was killed before its first checkpoint begins anew.
touch -d '2001-01-01' cut/models/*/model.safetensors
expect 0 experiment determinism --quick -o cut
[ "$(ls cut/models | wc -l)" = 1 ] || fail "a second model for the same recipe"
find cut/models -name model.safetensors -newermt '2002-01-01' | grep -q . && fail "a finished model was trained again"
rm cut/models/*/model.safetensors cut/models/*/checkpoint.safetensors
expect 0 experiment determinism --quick -o cut
cmp -s uncut/models/*/model.safetensors cut/models/*/model.safetensors || fail "a training that began anew has other bits"

# All of them, quickly: a table at the end; then what was found counts. (Too slow under a sanitizer.)
if [ -n "${SANITIZED:-}" ]; then finish; exit; fi
expect 0 experiment all --quick -o all; prints 'E17  determinism'; prints 'experiments in'
grep -q 'as an earlier run found' out && fail "a first run has found something before"
[ "$(ls all/results | wc -l)" = "$(grep -c ' quick  ' out)" ] || fail "not one result for each experiment"
expect 0 experiment all --quick -o all --json; is_json
[ "$(grep -o '"kept":true' out | wc -l)" = "$(ls all/results | wc -l)" ] || fail "results were not kept"
finish
