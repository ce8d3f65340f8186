# Fills nix/grafana-plugins.json with the hashes of what Grafana's catalogue has for each plugin and system: `nix run
# .#lock-plugins` in a checkout, again after a change of a version. From then on the image holds the plugins
# (nix/programs.nix) and Terraform has Grafana fetch none (terraform/runtime).
file=nix/grafana-plugins.json
if [ ! -w "$file" ]; then
  echo "lock-plugins: no $file to write here; run it in a checkout" >&2
  exit 66
fi
lock=$(cat "$file")
while read -r id version system; do
  case $system in
    x86_64-linux) arch=amd64 ;;
    aarch64-linux) arch=arm64 ;;
    *)
      echo "lock-plugins: $id: system '$system'; allowed: x86_64-linux aarch64-linux" >&2
      exit 65
      ;;
  esac
  # The address that nixpkgs' grafanaPlugin downloads from.
  url="https://grafana.com/api/plugins/$id/versions/$version/download?os=linux&arch=$arch"
  echo "lock-plugins: $id $version $system" >&2
  hash=$(nix --extra-experimental-features nix-command store prefetch-file --json --name "$id.zip" "$url" | jq -er .hash)
  lock=$(jq --arg id "$id" --arg system "$system" --arg hash "$hash" '.[$id].hashes[$system] = $hash' <<< "$lock")
done < <(jq -r 'to_entries[] | .key as $id | .value | .version as $version | .hashes | keys[] | "\($id) \($version) \(.)"' "$file")
printf '%s\n' "$lock" > "$file"
