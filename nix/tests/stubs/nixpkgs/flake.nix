# Stands in for nixpkgs in wiring tests: each package is a derivation `stub-NAME` that carries its arguments. Proves that our
# files evaluate and what they pass on; builds nothing.
{
  outputs =
    _:
    let
      lib = import ./lib.nix;
      plain =
        value:
        if builtins.isFunction value then
          "function"
        else if builtins.isPath value then
          toString value
        else if value ? outPath then
          "${value}"
        else if builtins.isAttrs value then
          builtins.mapAttrs (_: plain) value
        else if builtins.isList value then
          map plain value
        else
          value;
      stub =
        name: arguments:
        derivation {
          name = "stub-${name}";
          system = "x86_64-linux";
          builder = "/bin/sh";
          # So that whoever asks for the derivation evaluates every one of its arguments.
          args = [ (builtins.toJSON (plain arguments)) ];
        }
        // {
          pname = name;
          version = "999";
          meta.mainProgram = name;
          meta.license.spdxId = "stub";
          inherit arguments;
        };
      packages = lib.genAttrs [
        "actionlint"
        "awscli2"
        "bash"
        "cacert"
        "cargo"
        "cargo-deny"
        "chromedriver"
        "chromium"
        "clippy"
        "deadnix"
        "dejavu_fonts"
        "coreutils"
        "gawk"
        "gnugrep"
        "gnused"
        "gitleaks"
        "go"
        "grafana"
        "grafana-alloy"
        "grafana-loki"
        "jq"
        "just"
        "kustomize"
        "mimir"
        "nginx"
        "nixfmt"
        "nixfmt-tree"
        "nodejs"
        "nukeReferences"
        "openssl"
        "opentofu"
        "patchelf"
        "postgresql"
        "process-compose"
        "procps"
        "prometheus-node-exporter"
        "pyroscope"
        "rust-analyzer"
        "rustc"
        "rustfmt"
        "skopeo"
        "sloth"
        "tempo"
        "unzip"
        "util-linux"
        "versitygw"
      ] (name: stub name { });
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
        system:
        packages
        // {
          inherit lib;
          runtimeShell = "/nix/store/stub-bash/bin/bash";
          stdenv = {
            cc = stub "cc" { };
            hostPlatform = {
              inherit system;
              isLinux = system != "aarch64-darwin";
            };
          };
          prometheus = stub "prometheus" { } // {
            cli = stub "promtool" { };
          };
          opentelemetry-collector-releases.otelcol-contrib = stub "otelcol-contrib" { };
          grafanaPlugins =
            lib.genAttrs [
              "cloudwatch"
              "grafana-pyroscope-datasource"
              "loki"
              "tempo"
              "prometheus"
            ] (name: stub name { })
            // {
              grafanaPlugin = arguments: stub arguments.pname arguments;
            };
          python3.withPackages =
            f:
            stub "python3" (f {
              moto = stub "moto" { } // {
                optional-dependencies.server = [ ];
              };
            });
          makeFontsConf = arguments: stub "fonts.conf" arguments;
          fetchurl = arguments: stub "file" arguments;
          buildGoModule = arguments: stub arguments.pname arguments;
          writeText = name: text: stub name { inherit text; };
          linkFarm = name: links: stub name { inherit links; };
          runCommand =
            name: arguments: command:
            stub name (arguments // { inherit command; });
          runCommandLocal =
            name: arguments: command:
            stub name (arguments // { inherit command; });
          writeShellApplication = arguments: stub arguments.name arguments;
        }
      );
    };
}
