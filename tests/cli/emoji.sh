# emoji.sh: cmake/emoji.sh on a package made here, the folder that it writes as data, and a step of its recipe. Skipped (77)
# without node, with which npm comes.
. "$(dirname "$0")/lib.sh"
command -v node >/dev/null 2>&1 || { echo "no node: skipped"; exit 77; }

# 64 x 64, its left half red, its right half clear.
mkdir -p package/img/twitter/64
printf %s iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAYAAACqaXHeAAAAZUlEQVR42u3QQQ0AAAgAoetfWmM4Nx4UoKk51qUECBAgQIAAAQIECBAgQIAAAQIECBAgQIAA\
AQIECBAgQIAAAQIECBAgQIAAAQIECBAgQIAAAQIECBAgQIAAAQIECBAgQICA/wELVUzpWqtdlfYAAAAASUVORK5CYII= |
    base64 -d >package/img/twitter/64/1.png || fail "base64"
for i in 2 3 4 5 6; do cp package/img/twitter/64/1.png package/img/twitter/64/$i.png; done
entry() { printf '{"image":"%s.png","short_name":"%s","category":"%s","has_img_twitter":%s},' "$1" "$2" "$3" "$4"; }
{
    printf '['
    entry 1 "+1" "People & Body" true
    entry 2 "avocado" "Food & Drink" true
    entry 3 "flag-de" "Flags" true
    entry 4 "skin-tone-2" "Component" true
    entry 5 "none" "Flags" false
    entry 7 "not there" "Flags" true
    entry 6 "../Two  words" "Food & Drink" true | sed 's/,$//'
    printf ']'
} >package/emoji.json
tar czf fake.tgz package

EMOJI_PACKAGE=$PWD/fake.tgz sh "$DATA/../cmake/emoji.sh" data/emoji >out 2>err || fail "emoji.sh"
prints '4 pictures'
only data emoji
only data/emoji LICENCE.txt flags food-drink people-body
only data/emoji/food-drink avocado.png two-words.png
only data/emoji/people-body +1.png
grep -q 'CC-BY 4.0' data/emoji/LICENCE.txt || fail "the licence is not named"

# A folder that is there, a package that is none: nothing is touched.
EMOJI_PACKAGE=$PWD/fake.tgz sh "$DATA/../cmake/emoji.sh" data/emoji >out 2>err && fail "wrote over a folder"
grep -q 'is there already' err || fail "no message"
printf '[{"image":"1.png","short_name":"a","category":"b","has_img_twitter":false}]' >package/emoji.json
tar czf none.tgz package
EMOJI_PACKAGE=$PWD/none.tgz sh "$DATA/../cmake/emoji.sh" data/none >out 2>err && fail "wrote nothing and said it was done"
grep -q 'not of the expected form' err || fail "no message"
only data emoji

# As data: classes with names, in their order.
expect 0 info data/emoji --json; is_json
prints '"kind":"folder"'; prints '"pictures":4'; prints '"height":64,"width":64,"channels":3'
prints '{"class":0,"name":"flags","pictures":1},{"class":1,"name":"food-drink","pictures":2},{"class":2,"name":"people-body","pictures":1}'
expect 0 info data/emoji; prints 'food-drink'
expect 1 info data; says 'no .png'

export EBB_DATA="$PWD/data"
small="net.base=8 net.mult=1,2 net.blocks=1 net.groups=4 net.attention= train.steps=2 train.batch=4 train.shard=4 train.save_every=0
  train.sample_every=0 process.steps=20 sample.steps=4 data.path=$PWD/data/emoji"
# shellcheck disable=SC2086
expect 0 train emoji $small -o run
expect 0 sample run/model.safetensors --class 1 -n 2 --steps 2 -o two.npy
expect 0 info two.npy --json; prints '"shape":[2,32,32,3]'
# Pictures of its own size and of twice that are data for it.
expect 0 latent encode run/model.safetensors two.npy --rtol 1e-1 --atol 1e-1 --unchecked -o codes.npy
expect 0 latent encode run/model.safetensors data/emoji/people-body/+1.png --class 2 --rtol 1e-1 --atol 1e-1 --unchecked -o codes.npy
# shellcheck disable=SC2086
expect 1 train emoji $small data.larger=refuse -o other; says 'data.larger=average'
finish
