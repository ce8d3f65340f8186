# What `nix flake check` proves: the same list as `.ci/run --list`, a derivation each. Programs come from nixpkgs, so a check
# that prints `not run` elsewhere runs here.
{
  pkgs,
  source,
  rust,
  programs,
  images,
  stack,
  ...
}:
let
  inherit (rust) crane dev;
  # A command in a copy of the checkout.
  check =
    name: tools: command:
    pkgs.runCommand "signalbox-check-${name}" { nativeBuildInputs = tools; } ''
      cp -r --no-preserve=mode ${source.everything} checkout
      cd checkout
      export HOME=$TMPDIR SIGNALBOX_BACKENDS=/var/empty
      ${command}
      touch $out
    '';
  cargoTest =
    name: tools: arguments:
    crane.mkCargoDerivation (
      dev
      // {
        pname = "signalbox-${name}";
        nativeBuildInputs = tools;
        buildPhaseCargoCommand = ''
          export HOME=$TMPDIR SIGNALBOX_BACKENDS=/var/empty
          cargo test --locked ${arguments}
        '';
        installPhaseCommand = "touch $out";
        doInstallCargoArtifacts = false;
      }
    );
  inherit (rust.packages) default;
in
{
  fmt = crane.cargoFmt { inherit (dev) src pname version; };
  clippy = crane.cargoClippy (dev // { cargoClippyExtraArgs = "--all-targets -- -D warnings"; });
  test = cargoTest "test" [
    pkgs.chromium
    pkgs.chromedriver
    pkgs.postgresql
    programs.promtool
    programs.collector
    programs.loki
    programs.nginx
  ] "";
  docs = crane.cargoDoc (dev // { RUSTDOCFLAGS = "-D warnings"; });
  licences = crane.cargoDeny (dev // { cargoDenyChecks = "licenses sources bans"; });
  # Each config through its own program.
  configs = cargoTest "configs" [
    programs.collector
    programs.loki
    programs.tempo
    programs.promtool
    programs.nginx
    programs.alloy
  ] "--test 'config_*'";
  dashboards = check "dashboards" [ default ] "signalbox dashboards --check";
  alerts = cargoTest "alerts" [
    programs.promtool
    pkgs.sloth
  ] "--test alerts";
  nix = check "nix" [
    pkgs.nixfmt
    pkgs.deadnix
  ] "nixfmt --check flake.nix nix && deadnix --fail flake.nix nix";
  terraform = check "terraform" [ pkgs.opentofu ] ''
    tofu fmt -check -recursive terraform
  '';
  # Entry points, users, sizes: of the images as they are.
  images = check "images" [ pkgs.jq ] ''
    jq -e 'to_entries | all(.value.size > 0 and .value.imageTag != "latest")' ${images.packages.images}/manifest.json
  '';
  # The core stack against real Prometheus, Loki, Tempo and Grafana; the sandbox has its own loopback.
  stack = check "stack" [ ] ''
    SIGNALBOX_STATE=$TMPDIR/state ${stack.apps.stack.program} --for 60s --verify
  '';
}
