# What the derivation executes. All that it needs is in the environment, as the derivation gave it.
set -euo pipefail

cp -r "$src" isopod
chmod -R u+w isopod
export HOME=$PWD/home CRATES=$crates ISOPOD_COMMIT=$commit
mkdir "$HOME"
bash isopod/scripts/release.d/build "$target" "$out"
