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
  xray = ../backends/xray-daemon;
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
  # Not in nixpkgs: built from the module that backends/get builds it from. A tool of that module lies in `vendor`.
  xray-daemon = pkgs.buildGoModule {
    pname = "xray-daemon";
    version = lib.head (
      builtins.match ".*/aws-xray-daemon v([0-9.]+).*" (builtins.readFile "${xray}/go.mod")
    );
    src = xray;
    vendorHash = "sha256-IU6g/QkmH+UWaDNSTWuo5jGL0gvQUDh3/xl8NC3eYG4="; # of go.sum: tests/nix_wiring.rs computes it
    subPackages = [ "vendor/github.com/aws/aws-xray-daemon/daemon" ];
    ldflags = [
      "-s"
      "-w"
    ];
    doCheck = false; # tests are not vendored
    postInstall = "mv $out/bin/daemon $out/bin/xray-daemon";
    meta = {
      description = "Takes segments of the X-Ray SDKs and sends them on";
      license = lib.licenses.asl20;
      mainProgram = "xray-daemon";
    };
  };
  # Folder of Grafana's datasource plugins, each under the name its package has.
  grafana-plugins = pkgs.linkFarm "grafana-plugins" (
    map (plugin: {
      name = plugin.pname;
      path = plugin;
    }) plugins
  );
}
