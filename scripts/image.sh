#!/usr/bin/env bash
# Builds the image, the same bytes each time for one commit, with what a release has beside it.
# usage: scripts/image.sh FOLDER [buildah bud arguments …]
#   FOLDER/postern-VERSION.oci.tar      the image, for `docker load`, `podman load`, `skopeo copy oci-archive:…`
#   FOLDER/postern-VERSION.cdx.json     what is in it (CycloneDX)
#   FOLDER/postern-VERSION.intoto.json  what it was made of, and how (in-toto, SLSA v1): of every file in FOLDER
# Environment: IMAGE, the name (default localhost/postern:VERSION); SOURCE_URL and DOCUMENTATION_URL, for the labels;
# BUILDAH, the command with its options; SOURCE_DATE_EPOCH (default: the commit's).
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."

version=$(node -p 'JSON.parse(require("fs").readFileSync("package.json")).version')
revision=$(git rev-parse HEAD)
git diff --quiet HEAD || revision="$revision-dirty"
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
image=${IMAGE:-localhost/postern:$version}
source=${SOURCE_URL:-$(git remote get-url origin 2>/dev/null || true)}
[[ $source == https://* ]] || source=
read -ra buildah <<<"${BUILDAH:-buildah}"

# One time for all files, so that two builds of one commit are equal. Docker's own format would hold the id and the host
# name of the build; this one has no HEALTHCHECK: kubelet asks by itself, and compose.yaml says what to ask.
"${buildah[@]}" bud --format oci --timestamp "$epoch" --identity-label=false \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source" \
  --build-arg "DOCUMENTATION=${DOCUMENTATION_URL:-$source}" \
  --build-arg "CREATED=$(date --utc --date "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" \
  --iidfile "$out/.image-id" --tag "$image" "$@" .

archive="$out/postern-$version.oci.tar"
layout=$(mktemp -d)
"${buildah[@]}" push --quiet "$image" "oci:$layout:$image"
tar --create --file "$archive" --directory "$layout" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX .
rm -r "$layout"
SOURCE_DATE_EPOCH=$epoch node scripts/statements.mjs sbom >"$out/postern-$version.cdx.json"
SOURCE_DATE_EPOCH=$epoch IMAGE=$image IMAGE_ID=$(<"$out/.image-id") SOURCE_URL=$source \
  node scripts/statements.mjs provenance "$out" >"$out/.provenance"
mv "$out/.provenance" "$out/postern-$version.intoto.json"
echo "$image $(<"$out/.image-id")"
rm "$out/.image-id"
