# Which nixpkgs package is which program of configs/stack.json. Read by images, stack, checks; add a backend here first.
{
  pkgs,
  lib,
  pluginLock ? lib.importJSON ./grafana-plugins.json,
  ...
}:
let
  inherit (pkgs) grafanaPlugins;
  # Datasources that this Grafana's version no longer carries in its core (13.1 and later moved them out).
  moved = lib.concatMap (name: lib.optional (grafanaPlugins ? ${name}) grafanaPlugins.${name}) [
    "cloudwatch"
    "grafana-pyroscope-datasource"
    "loki"
    "prometheus"
    "tempo"
  ];
  # AWS' own, which nixpkgs does not have. One without a hash is left to Grafana itself (terraform/runtime).
  locked = lib.mapAttrsToList (
    pname: lock:
    grafanaPlugins.grafanaPlugin {
      inherit pname;
      inherit (lock) version;
      zipHash = lock.hashes;
    }
  ) (lib.filterAttrs (_: lock: !lib.elem null (lib.attrValues lock.hashes)) pluginLock);
  xray = ../backends/xray-daemon;
  # What configs/ is written for: backends/programs, one program a line, its name and oldest version in the third column. An
  # older one would refuse its config, and only once it runs.
  oldest = lib.listToAttrs (
    lib.concatMap (
      line:
      let
        version = builtins.match "([a-z-]+) \\|[^|]*\\|[^|,]* ([0-9.]+) ?[|,].*" line;
      in
      lib.optional (version != null) (lib.nameValuePair (lib.head version) (lib.elemAt version 1))
    ) (lib.splitString "\n" (builtins.readFile ../backends/programs))
  );
  new =
    name: package:
    lib.throwIf (lib.versionOlder package.version oldest.${name})
      "${name} ${package.version} is too old for configs/: ${oldest.${name}} is the oldest (backends/programs)"
      package;
in
{
  collector = new "otelcol" pkgs.opentelemetry-collector-releases.otelcol-contrib;
  prometheus = new "prometheus" pkgs.prometheus;
  promtool = pkgs.prometheus.cli;
  loki = new "loki" pkgs.grafana-loki;
  tempo = new "tempo" pkgs.tempo;
  mimir = new "mimir" pkgs.mimir;
  pyroscope = new "pyroscope" pkgs.pyroscope;
  alloy = new "alloy" pkgs.grafana-alloy;
  grafana = new "grafana" pkgs.grafana;
  nginx = new "nginx" pkgs.nginx;
  postgresql = new "postgres" pkgs.postgresql;
  node-exporter = new "node-exporter" pkgs.prometheus-node-exporter;
  s3 = new "versitygw" pkgs.versitygw;
  process-compose = new "process-compose" pkgs.process-compose;
  # None or one: a test compares what it generates, and says `not run` without it.
  sloth = lib.optional (!lib.versionOlder pkgs.sloth.version oldest.sloth) pkgs.sloth;
  # Not in nixpkgs: built from the module that backends/get builds it from. A tool of that module lies in `vendor`.
  xray-daemon = pkgs.buildGoModule {
    pname = "xray-daemon";
    version = lib.head (
      builtins.match ".*/aws-xray-daemon v([0-9.]+).*" (builtins.readFile (xray + "/go.mod"))
    );
    src = xray;
    vendorHash = "sha256-IU6g/QkmH+UWaDNSTWuo5jGL0gvQUDh3/xl8NC3eYG4="; # of go.sum: tests/nix_programs.rs computes it
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
    }) (moved ++ locked)
  );
}
