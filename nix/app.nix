# The Rust programs, by crane. Dependencies are compiled once a profile: release for what is shipped, dev for the checks.
{
  lib,
  crane,
  source,
  ...
}:
let
  common = {
    pname = "signalbox";
    version = (lib.importTOML ../Cargo.toml).package.version;
    src = source.rust;
    strictDeps = true;
    doCheck = false; # checks.nix runs the tests once, for all
    meta = {
      description = "A complete, reproducible observability stack around an instrumented Rust service";
      license = lib.licenses.asl20;
      mainProgram = "signalbox";
    };
  };
  shipped = common // {
    postPatch = source.benches;
  };
  release = crane.buildDepsOnly (
    shipped
    // {
      cargoExtraArgs = "--locked";
      cargoCheckCommand = "true"; # clippy works with dev's
    }
  );
  build =
    pname: features: extra:
    crane.buildPackage (
      shipped
      // {
        inherit pname;
        cargoArtifacts = release;
        cargoExtraArgs = "--locked --no-default-features --features ${features}";
      }
      // extra
    );
  dev = common // {
    src = source.everything;
    CARGO_PROFILE = "dev";
    cargoExtraArgs = "--locked";
  };
  devArtifacts = crane.buildDepsOnly (
    dev
    // {
      pname = "signalbox-dev";
      doCheck = true; # dev-dependencies too
    }
  );
in
{
  inherit crane;
  packages = rec {
    default = crane.buildPackage (
      shipped
      // {
        cargoArtifacts = release;
        cargoExtraArgs = "--locked";
      }
    );
    app = build "signalbox-app" "app,pyroscope" { };
    console = build "signalbox-console" "console" { };
    # Its own, few sources and dependencies: see source.nix.
    probe = build "signalbox-probe" "''" {
      src = source.probe;
      cargoArtifacts = null;
    };
  };
  # What checks.nix adds its own arguments to.
  dev = dev // {
    cargoArtifacts = devArtifacts;
  };
}
