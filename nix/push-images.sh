# Pushes images to a registry: `nix run .#push-images -- REGISTRY/PREFIX [IMAGE..]`. A tag is derived from the content, so
# one that is there already is skipped. Prints {"IMAGE": {"repository", "tag", "digest"}} for Terraform on stdout, the rest
# on stderr. IMAGES is set by nix/images.nix. A registry without TLS: `insecure = true` for it in
# ~/.config/containers/registries.conf.
if [ $# -lt 1 ]; then
  echo "usage: push-images REGISTRY/PREFIX [IMAGE..]; images: $(jq -r 'keys | join(" ")' "$IMAGES")" >&2
  exit 64
fi
prefix=${1%/}
shift
if [ $# -eq 0 ]; then
  mapfile -t wanted < <(jq -r 'keys[]' "$IMAGES")
else
  wanted=("$@")
fi
# All names first: nothing is pushed of a list that is wrong.
for image in "${wanted[@]}"; do
  if ! jq -e --arg image "$image" 'has($image)' "$IMAGES" > /dev/null; then
    echo "push-images: no image '$image'; allowed: $(jq -r 'keys | join(" ")' "$IMAGES")" >&2
    exit 64
  fi
done
digests=$(mktemp -d)
trap 'rm -rf "$digests"' EXIT
for image in "${wanted[@]}"; do
  entry=$(jq --arg image "$image" '.[$image]' "$IMAGES")
  file=$(jq -r .file <<< "$entry")
  tag=$(jq -r .tag <<< "$entry")
  target="$prefix/signalbox-$image"
  if digest=$(skopeo inspect --format '{{.Digest}}' "docker://$target:$tag" 2> /dev/null); then
    echo "$image: $tag is there" >&2
  else
    echo "$image: pushing $target:$tag" >&2
    skopeo --insecure-policy copy --digestfile "$digests/$image" "nix:$file" "docker://$target:$tag" >&2
    digest=$(cat "$digests/$image")
  fi
  jq -n --arg image "$image" --arg repository "$target" --arg tag "$tag" --arg digest "$digest" \
    '{ ($image): { $repository, $tag, $digest } }'
done | jq --slurp 'add // empty'
