# Puts images where compose.yaml finds them: `nix run .#load-images -- docker|podman [IMAGE..]`, each as
# signalbox-IMAGE:latest. IMAGES is set by nix/images.nix.
case "${1:-}" in
  docker) target=docker-daemon: ;;
  podman) target=containers-storage:localhost/ ;;
  *)
    echo "usage: load-images docker|podman [IMAGE..]; images: $(jq -r 'keys | join(" ")' "$IMAGES")" >&2
    exit 64
    ;;
esac
shift
if [ $# -eq 0 ]; then
  mapfile -t wanted < <(jq -r 'keys[]' "$IMAGES")
else
  wanted=("$@")
fi
for image in "${wanted[@]}"; do
  if ! file=$(jq -er --arg image "$image" '.[$image].file' "$IMAGES"); then
    echo "load-images: no image '$image'; allowed: $(jq -r 'keys | join(" ")' "$IMAGES")" >&2
    exit 64
  fi
  skopeo --insecure-policy copy "nix:$file" "${target}signalbox-$image:latest"
done
