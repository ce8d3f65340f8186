# What `nix flake check` proves: the same list as `.ci/run --list`, a derivation each. Programs come from nixpkgs, so a check
# that prints `not run` elsewhere runs here.
{
  pkgs,
  lib,
  source,
  rust,
  images,
  stack,
  ...
}:
let
  inherit (rust) crane dev;
  # In the sandbox: no home, no cache of backends, certificates, without which our HTTP clients refuse to start, and a font,
  # without which Chromium ends.
  environment = ''
    export HOME=$TMPDIR SIGNALBOX_BACKENDS=/var/empty
    export SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt
    export FONTCONFIG_FILE=${pkgs.makeFontsConf { fontDirectories = [ pkgs.dejavu_fonts ]; }}
  '';
  # A command in a copy of the checkout.
  check =
    name: tools: command:
    pkgs.runCommand "signalbox-check-${name}" { nativeBuildInputs = tools; } ''
      cp -r --no-preserve=mode ${source.everything} checkout
      cd checkout
      ${environment}
      ${command}
      touch $out
    '';
  # nixpkgs' own provider is of the next major version. OpenTofu's build of the locked one, by the checksums of its
  # registry (opentofu/registry, providers/h/hashicorp/aws.json).
  tofuProviders =
    let
      lock = builtins.readFile ../terraform/base/.terraform.lock.hcl;
      version = lib.head (builtins.match ".*version +?= \"([0-9.]+)\".*" lock);
      of = {
        x86_64-linux = {
          arch = "amd64";
          hash = "sha256-l1BCMTi7AeyqXOwaZpFmT3eD0wH7FijTtkojG2tWTg4=";
        };
        aarch64-linux = {
          arch = "arm64";
          hash = "sha256-GkHz7iZyD+56mgo2GJBjKhcBtdwc9TVdxlHdvhFWgv8=";
        };
      };
      inherit (of.${pkgs.stdenv.hostPlatform.system}) arch hash;
      zip = pkgs.fetchurl {
        url = "https://github.com/opentofu/terraform-provider-aws/releases/download/v${version}/terraform-provider-aws_${version}_linux_${arch}.zip";
        inherit hash;
      };
    in
    pkgs.runCommand "signalbox-tofu-providers" { nativeBuildInputs = [ pkgs.unzip ]; } ''
      mkdir -p $out/registry.opentofu.org/hashicorp/aws/${version}
      unzip -q ${zip} -d $out/registry.opentofu.org/hashicorp/aws/${version}/linux_${arch}
    '';
in
{
  fmt = crane.cargoFmt { inherit (dev) src pname version; };
  clippy = crane.cargoClippy (dev // { cargoClippyExtraArgs = "--all-targets -- -D warnings"; });
  # With every program that a test may ask; `not run` is for machines that lack one.
  test = crane.mkCargoDerivation (
    dev
    // {
      pname = "signalbox-test";
      nativeBuildInputs = stack.tools ++ [
        pkgs.chromium
        pkgs.chromedriver
        pkgs.nodejs
        pkgs.jq
        pkgs.openssl
      ];
      buildPhaseCargoCommand = ''
        ${environment}
        cargo test --locked
      '';
      installPhaseCommand = "touch $out";
      doInstallCargoArtifacts = false;
    }
  );
  docs = crane.cargoDoc (dev // { RUSTDOCFLAGS = "-D warnings"; });
  licences = crane.cargoDeny (dev // { cargoDenyChecks = "licenses sources bans"; });
  nix = check "nix" [
    pkgs.nixfmt
    pkgs.deadnix
  ] "nixfmt --check flake.nix $(find nix -name '*.nix') && deadnix --fail flake.nix nix";
  # The lock names another registry than OpenTofu's, which also reads no mocks from a file of their own
  # (opentofu/opentofu#1778): in this copy they stand in the tests.
  terraform = check "terraform" [ pkgs.opentofu ] ''
    tofu fmt -check -recursive terraform
    for lock in terraform/*/.terraform.lock.hcl; do
      stack=$(dirname "$lock")
      rm "$lock"
      sed -i -e '/source *= "..\/tests\/mocks"/{r terraform/tests/mocks/aws.tfmock.hcl' -e 'd}' "$stack"/tests/*.hcl
      tofu -chdir="$stack" init -backend=false -input=false -plugin-dir=${tofuProviders}
      tofu -chdir="$stack" validate
      tofu -chdir="$stack" test
    done
  '';
  # Of the images as they are; what each is told: tests/nix_wiring.rs.
  images = check "images" [ pkgs.jq ] ''
    jq -e 'to_entries | all(.value.size > 0 and .value.imageTag != "latest")' ${images.packages.images}/manifest.json
  '';
  up = check "up" [ rust.packages.default ] "signalbox up --for 30s --verify";
  # The core stack against real Prometheus, Loki, Tempo and Grafana; the sandbox has its own loopback.
  stack = check "stack" [ ] ''
    SIGNALBOX_STATE=$TMPDIR/state ${stack.apps.stack.program} --for 60s --verify
  '';
}
