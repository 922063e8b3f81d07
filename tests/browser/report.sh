# report.sh: the report of ebb bench in a real browser: nothing on the console, the filter takes points away, nothing is wider than a
# phone, text and dots can be seen in light and in dark. Needs chromium: else it is skipped.
. "$(dirname "$0")/../cli/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${CHROMIUM:-}" ]; then
    echo "skipped: no chromium here (Debian's package: chromium), so that the report was not looked at"
    exit 77
fi

# browse SCHEME: 0 dark, 1 light. The page check.html as it is when its script is done in `dom`, the console in `console`.
browse() {
    "$CHROMIUM" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" --no-first-run --hide-scrollbars \
        --allow-file-access-from-files --enable-logging=stderr --blink-settings=preferredColorScheme="$1" --window-size=1300,900 \
        --virtual-time-budget=20000 --dump-dom "file://$work/check.html" >dom 2>log </dev/null || fail "chromium: exit code $?"
    grep -o 'CONSOLE.*' log >console
}

expect 0 toy mixture --score train -n 200 --save s.safetensors train.steps=20 train.batch=64 train.shard=32 net.width=16 data.limit=1000
# With everything that the report can show: a learned score, a cell that cannot be run, something to be held against.
printf 'sampler,nfe,metric,value\nheun,9,sliced-w2,1000\nddim,7,sliced-w2,1\n' >paper.csv
expect 0 bench toy:mixture --samplers ddpm,ddim,euler,heun,dpmpp-2m,unipc,edm:churn=10,dpm-solver-3,mala --nfe 5,10,20 --grids own \
    -n 300 --resamples 10 --model s.safetensors --reference 50 --quick --against paper.csv -o run
grep -qiE '(src|href)="?(https?:)?//' run/report.html && fail "the report asks the network"
cp "$here/check.html" "$here/check.js" .

# On a busy machine the browser's virtual time can be over before its pictures are decoded: then it has not looked, and looks again.
for scheme in 0 1; do
    for try in 1 2 3 4 5; do
        browse $scheme
        grep -q 'DONE [1-9]' dom || grep -q 'FAIL ' dom && break
    done
    grep -o 'FAIL .*' dom | while read -r line; do echo "scheme $scheme (0 dark, 1 light): $line"; done
    grep -q 'FAIL ' dom && fail "scheme $scheme: see above"
    grep -q 'DONE [1-9]' dom || fail "scheme $scheme: the checks did not come to their end"
    # The checks themselves say one thing on the console, which shows that errors there are seen.
    [ "$(grep -c 'CONSOLE' console)" = 1 ] && grep -q 'seen from the checks' console || fail "scheme $scheme: console: $(head -3 console)"
done
finish
