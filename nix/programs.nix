# Which nixpkgs package is which program of configs/stack.json. Read by images, stack, checks; add a backend here first.
{ pkgs, lib, ... }:
let
  # Datasources that this Grafana's version no longer carries in its core (13.1 and later moved them out).
  plugins = lib.optionals (pkgs ? grafanaPlugins) (
    lib.concatMap (name: lib.optional (pkgs.grafanaPlugins ? ${name}) pkgs.grafanaPlugins.${name}) [
      "loki"
      "prometheus"
      "tempo"
    ]
  );
in
{
  collector = pkgs.opentelemetry-collector-releases.otelcol-contrib;
  loki = pkgs.grafana-loki;
  inherit (pkgs)
    prometheus
    tempo
    mimir
    pyroscope
    grafana
    nginx
    postgresql
    ;
  promtool = pkgs.prometheus.cli;
  alloy = pkgs.grafana-alloy;
  node-exporter = pkgs.prometheus-node-exporter;
  s3 = pkgs.versitygw;
  # Folder of Grafana's datasource plugins, each under the name its package has.
  grafana-plugins = pkgs.linkFarm "grafana-plugins" (
    map (plugin: {
      name = plugin.pname;
      path = plugin;
    }) plugins
  );
}
