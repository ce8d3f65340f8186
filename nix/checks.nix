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
    programs.tempo
    programs.alloy
    pkgs.sloth
    pkgs.nodejs
  ] "";
  docs = crane.cargoDoc (dev // { RUSTDOCFLAGS = "-D warnings"; });
  licences = crane.cargoDeny (dev // { cargoDenyChecks = "licenses sources bans"; });
  nix = check "nix" [
    pkgs.nixfmt
    pkgs.deadnix
  ] "nixfmt --check flake.nix nix && deadnix --fail flake.nix nix";
  terraform = check "terraform" [ pkgs.opentofu ] ''
    tofu fmt -check -recursive terraform
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
