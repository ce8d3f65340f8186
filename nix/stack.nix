# `nix run .#stack`: the programs on PATH and the process files exactly as they lie in a checkout. And the embedded modes.
{
  pkgs,
  lib,
  source,
  rust,
  programs,
  ...
}:
let
  app = description: package: {
    type = "app";
    program = lib.getExe package;
    meta = { inherit description; };
  };
  signalbox =
    arguments:
    pkgs.writeShellApplication {
      name = "signalbox-${lib.head arguments}";
      text = ''exec ${lib.getExe rust.packages.default} ${lib.escapeShellArgs arguments} "$@"'';
    };
  # The names by which configs/processes and backends/stack call what nixpkgs names otherwise.
  named = pkgs.linkFarm "signalbox-program-names" [
    {
      name = "bin/otelcol";
      path = "${programs.collector}/bin/otelcol-contrib";
    }
    {
      name = "bin/node-exporter";
      path = "${programs.node-exporter}/bin/node_exporter";
    }
  ];
  core = [
    programs.process-compose
    pkgs.bash
    pkgs.coreutils
    pkgs.util-linux # setsid
    pkgs.procps
    pkgs.gawk
    pkgs.gnugrep
    pkgs.gnused
    named
    programs.collector
    programs.prometheus
    programs.loki
    programs.tempo
    programs.grafana
  ];
  variants = lib.mapAttrs (_: programs: programs ++ [ rust.packages.default ]) others;
  others = {
    core = core;
    lgtm = core ++ [
      programs.mimir
      programs.pyroscope
      programs.alloy
      programs.nginx
      programs.node-exporter
      programs.postgresql
    ];
    aws = core ++ [
      programs.s3
      programs.xray-daemon
      (pkgs.python3.withPackages (python: [ python.moto ] ++ python.moto.optional-dependencies.server))
    ];
  };
  stack =
    variant:
    pkgs.writeShellApplication {
      name = "signalbox-stack-${variant}";
      runtimeInputs = variants.${variant};
      # Only native programs count: nothing is built or looked for in a cache.
      runtimeEnv = {
        SIGNALBOX_BACKENDS = "/var/empty";
        SIGNALBOX_PROGRAM = lib.getExe rust.packages.default;
        GF_PATHS_PLUGINS = programs.grafana-plugins;
        GRAFANA_HOME = "${programs.grafana}/share/grafana";
      };
      # The runner works in its own folder, which is read-only here: what it keeps lies where it was called.
      text = ''
        SIGNALBOX_STATE=$(realpath -m "''${SIGNALBOX_STATE:-.signalbox}")
        export SIGNALBOX_STATE
        exec bash ${source.stack}/backends/stack ${variant} "$@"
      '';
    };
in
rec {
  inherit variants;
  # Every program that a test or a run of the stack may ask for, but ours.
  tools = others.lgtm ++ others.aws ++ programs.sloth ++ [ programs.promtool ];
  embedded = {
    default = embedded.up;
    up = app "the service, the load tester and the embedded backend" (signalbox [ "up" ]);
    verify = app "prove the contract against what is running" (signalbox [ "verify" ]);
  };
  apps = embedded // {
    bench = app "accounting and cost at 2,000 requests/s" (
      pkgs.writeShellApplication {
        name = "signalbox-bench";
        runtimeInputs = [
          pkgs.cargo
          pkgs.rustc
          pkgs.stdenv.cc
        ];
        text = ''cargo bench --bench accounting "$@"'';
      }
    );
    stack = app "Prometheus, Loki, Tempo, Grafana" (stack "core");
    stack-lgtm = app "Mimir, Loki, Tempo, Pyroscope, Grafana" (stack "lgtm");
    stack-aws = app "X-Ray, CloudWatch Logs, Loki on S3, against a local stand-in or an account" (
      stack "aws"
    );
  };
}
