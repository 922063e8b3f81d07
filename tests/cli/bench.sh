# bench.sh: ebb bench: files, budgets and recommendations, cells that are kept, refusals, Ctrl-C.
. "$(dirname "$0")/lib.sh"

expect 0 bench --list; prints 'dpmpp-2m'; prints '10 (quick)'
expect 0 bench --list --json; is_json
expect 0 bench toy:mixture --quick -n 300 --resamples 10 -o q; prints 'not told apart'; prints 'reference'; prints 'results.csv'
only q results.json results.csv nfe.png seconds.png plots.gp report.html cells
head -1 q/results.csv | grep -q '^role,sampler,grid,guidance,budget,steps,nfe,metric,value,low,high' || fail "results.csv has another head"
grep -q '"command": "ebb bench toy:mixture --quick -n 300 --resamples 10 -o q"' q/results.json || fail "the command is not in results.json"
[ "$(grep -c '^cell,euler,karras,0,10,10,10,' q/results.csv)" -ge 5 ] || fail "no rows of euler at 10 evaluations"

# The same again is read, not measured; a wider grid measures what is new.
expect 0 bench toy:mixture --quick -n 300 --resamples 10 -o q --json; is_json; prints '"kept":true'
grep -q '"kept":false' out && fail "cells were measured again"
cells=$(ls q/cells/*.json | wc -l)
expect 0 bench toy:mixture --samplers unipc:order=2,lower_order_final=0,heun --nfe 5,20 --grids own,karras:rho=5 -n 300 --resamples 10 \
    --reference 200 -o q --json; is_json
prints '"sampler":"unipc:order=2,lower_order_final=0"'; prints '"grid":"karras:rho=5"'; prints '"kept":true'; prints '"kept":false'
[ "$(ls q/cells/*.json | wc -l)" -gt "$cells" ] || fail "no new cells"

# What was measured does not depend on threads.
expect 0 bench toy:digits-1d --samplers ddim --nfe 5 --reference -1 -n 300 --class 7 --guidance 0,1 -o one --threads 1
expect 0 bench toy:digits-1d --samplers ddim --nfe 5 --reference -1 -n 300 --class 7 --guidance 0,1 -o three --threads 3; prints 'w2'
for d in one three; do cut -d, -f1-12 $d/results.csv >$d.csv; done
cmp -s one.csv three.csv || fail "other results by three threads"

# A learned score: its own error, and that of the steps.
expect 0 toy mixture --score train -n 200 --save s.safetensors train.steps=30 train.batch=64 train.shard=32 net.width=16 data.limit=1000
expect 0 bench toy:mixture --model s.safetensors --samplers heun,ddpm --nfe 10 -n 200 --reference -1 --quick -o learned --json; is_json
prints '"discretization":{'; prints '"role":"score"'; prints '"score":"model"'

# Held against another run, or a table: exit code 1 where something is worse beyond its interval.
expect 0 bench toy:mixture --samplers unipc --nfe 5,20 -n 300 --resamples 10 --reference -1 -o now
cp now/results.json was.json
expect 0 bench toy:mixture --samplers unipc --nfe 5,20 -n 300 --resamples 10 --reference -1 --against was.json -o now; prints '0 better, 0 worse'
printf 'sampler,nfe,metric,value\nunipc,20,sliced-w2,100\nunipc,21,sliced-w2,1\n' >paper.csv
expect 0 bench toy:mixture --samplers unipc --nfe 5,20 -n 300 --resamples 10 --reference -1 --against paper.csv -o now
prints '1 better, 0 worse'; prints '1 missing'
printf 'sampler,nfe,metric,value\nunipc,20,sliced-w2,0.000001\n' >dream.csv
expect 1 bench toy:mixture --samplers unipc --nfe 5,20 -n 300 --resamples 10 --reference -1 --against dream.csv -o now; prints 'worse'
expect 1 bench toy:mixture --samplers unipc --nfe 5,20 -n 300 --resamples 10 --reference -1 --against dream.csv -o now --json; is_json
prints '"verdict":"worse"'
printf 'sampler,nfe\nunipc,20\n' >bad.csv
expect 1 bench toy:mixture --against bad.csv -o x; says 'bad.csv: line 2'
expect 1 bench toy:mixture --against none.json -o x; says 'none.json'
absent x

# What cannot be run is told with its reason, and the rest is run.
expect 0 bench toy:mixture --samplers ddim,ddpm-learned --nfe 5 --reference -1 -n 100 -o r; prints 'ddpm-learned over uniform: '
expect 2 bench; says 'of what'
expect 2 bench toy:mixture; says '-o DIR'
expect 2 bench toy:mixture more -o x; says 'more'
expect 2 bench toy:mixtur -o x; says "did you mean 'mixture'"
expect 2 bench toy:mixture --samplers heum -o x; says "did you mean 'heun'"
expect 2 bench toy:mixture --grids karas -o x; says "did you mean 'karras'"
expect 2 bench toy:mixture --nfe ten -o x; says "'ten'"
expect 2 bench toy:mixture --metric sliced -o x; says "did you mean 'sliced-w2'"
expect 2 bench toy:mixture --quick --full -o x; says 'one of them'
expect 2 bench toy:mixture --class x -o x; says '--class'
expect 2 bench --list toy:mixture; says '--list'
expect 1 bench toy:mixture --guidance 2 -o x; says 'needs classes'
expect 1 bench toy:mixture --model none.safetensors -o x; says 'none.safetensors'
expect 1 bench nothing.safetensors -o x; says 'nothing.safetensors'
expect 1 bench toy:mixture -n 1 -o x; says '1 samples'
expect 1 bench toy:mixture --data d -o x; says 'is a law'
expect 1 bench s.safetensors --process vp -o x; says 'has its own'
: >file
expect 1 bench toy:mixture --quick -n 100 -o file; says 'file'
absent x/results.json
expect 0 bench --help; prints 'toy:ring:modes=6'; prints 'flow-error'; prints 'karras'

# Stopped in the middle: exit code 3, no result, finished cells kept; the same command goes on.
interrupt_when '[ "$(ls s/cells/*.json 2>/dev/null | wc -l)" -ge 3 ]' bench toy:mixture --samplers ddim --nfe 5,10,20,4000 -n 20000 --resamples -1 --reference -1 -o s
[ -s out ] && fail "an interrupted run printed a result"
only s cells
[ "$(ls s/cells/*.json | wc -l)" = 3 ] || fail "finished cells were not kept"
expect 0 bench toy:mixture --samplers ddim --nfe 5,10,20 -n 20000 --resamples -1 --reference -1 -o s --json; is_json
[ "$(grep -o '"kept":true' out | wc -l)" = 3 ] || fail "finished cells were measured again"
finish
