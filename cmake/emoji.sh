#!/bin/sh
# Fetches the data set of the recipe `emoji`: colour pictures with names, one folder a class.
#
#   sh cmake/emoji.sh [DIR]       DIR (default data/emoji): DIR/food-drink/avocado.png, ...
#
# npm fetches the package emoji-datasource-twitter, 60 MB, and checks it against the digest below; emoji.json in it tells
# category and name of each picture of 64 x 64. Files are only put in their places: reading them, ebb lays them over white and
# averages 2 x 2 pixels (data.larger=average). Left out are variants by skin and the five swatches of skin.
#
# The pictures are Twemoji's, (c) Twitter, Inc and other contributors, under CC-BY 4.0, which asks to name them:
# https://creativecommons.org/licenses/by/4.0/, https://github.com/jdecked/twemoji. Nothing of them is part of ebb.
#
# EMOJI_PACKAGE=FILE.tgz takes a package that is there already, unchecked.
set -eu
name=emoji-datasource-twitter version=16.0.0
digest=sha512-7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==

die() { printf 'emoji: %s\n' "$*" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
to=${1:-$root/data/emoji}
[ ! -e "$to" ] || die "$to is there already: remove it, or give another folder"
command -v node >/dev/null 2>&1 || die "node is missing, with which npm comes: install npm (Debian, Fedora) or node (Homebrew)"
mkdir -p "$(dirname "$to")"
work=$(mktemp -d "$to.XXXXXX") || die "cannot write beside $to"
trap 'rm -rf "$work"' EXIT
trap 'exit 3' INT TERM HUP

# npm pack compares what it gets with the digest that the registry has; that must be the one above.
package=${EMOJI_PACKAGE:-}
if [ -z "$package" ]; then
    command -v npm >/dev/null 2>&1 || die "npm is missing: install it, or give EMOJI_PACKAGE=FILE.tgz"
    (cd "$work" && npm pack --silent --json "$name@$version" >packed.json) || die "npm could not fetch $name@$version: see above"
    node -e 'const [p] = JSON.parse(require("fs").readFileSync(process.argv[1]));
        if (p.integrity !== process.argv[2]) { console.error("emoji: other contents: " + p.integrity); process.exit(1); }' \
        "$work/packed.json" "$digest" || die "$name@$version is not what it was: nothing was written"
    package=$work/$name-$version.tgz
fi
tar xzf "$package" -C "$work" package/emoji.json package/img/twitter/64 || die "$package is no $name"

node -e '
const fs = require("fs"), path = require("path"), [from, to] = process.argv.slice(1);
const plain = text => text.toLowerCase().replace(/[^a-z0-9+_-]+/g, "-").replace(/^-+|-+$/g, "");
let count = 0;
for (const e of JSON.parse(fs.readFileSync(path.join(from, "emoji.json")))) {
    const picture = path.join(from, "img/twitter/64", path.basename(e.image));
    if (!e.has_img_twitter || e.category === "Component" || !fs.existsSync(picture))
        continue;
    const folder = path.join(to, plain(e.category)), file = path.join(folder, plain(e.short_name) + ".png");
    fs.mkdirSync(folder, { recursive: true });
    if (fs.existsSync(file))
        throw new Error(file + ": two pictures of one name");
    fs.renameSync(picture, file);
    count++;
}
if (count === 0)
    throw new Error("no pictures in the package");
fs.writeFileSync(path.join(to, "LICENCE.txt"), "Twemoji, (c) Twitter, Inc and other contributors, CC-BY 4.0:\n" +
    "https://creativecommons.org/licenses/by/4.0/ https://github.com/jdecked/twemoji\n");
console.log("emoji: " + count + " pictures");
' "$work/package" "$work/emoji" || die "the package is not of the expected form"
chmod 755 "$work/emoji"
mv "$work/emoji" "$to"
printf 'emoji: %s is ready; next: build/ebb train emoji -o runs/emoji\n' "$to"
