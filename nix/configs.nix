# Configs and dashboards as one tree, /etc/signalbox in an image. Holds no config text of its own.
{ pkgs, source, ... }:
let
  tree =
    name: links:
    pkgs.runCommandLocal name { } (
      builtins.concatStringsSep "\n" (
        builtins.attrValues (
          builtins.mapAttrs (path: from: ''
            mkdir -p "$out/etc/signalbox/$(dirname ${path})"
            cp -r ${from} "$out/etc/signalbox/${path}"
          '') links
        )
      )
    );
in
{
  configs = tree "signalbox-configs" {
    configs = "${source.configs}/configs";
    dashboards = "${source.dashboards}/dashboards";
  };
  dashboards = tree "signalbox-dashboards" { dashboards = "${source.dashboards}/dashboards"; };
}
