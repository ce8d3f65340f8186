# Which files a build sees, so that a change elsewhere rebuilds nothing. Read by app, load-tester, configs, checks.
{ lib, ... }:
let
  root = ../.;
  only =
    paths:
    lib.fileset.toSource {
      inherit root;
      fileset = lib.fileset.unions paths;
    };
  manifest = [
    ../Cargo.toml
    ../Cargo.lock
  ];
  # What Rust code includes at compile time.
  facts = [
    ../configs/stack.json
    ../configs/environments
  ];
in
{
  # Cargo.toml names the benches, and cargo wants to see them: empty ones, so that a bench rebuilds nothing.
  benches = lib.concatMapStrings (bench: ''
    mkdir -p benches
    [ -e benches/${bench.name}.rs ] || echo 'fn main() {}' > benches/${bench.name}.rs
  '') (lib.importTOML ../Cargo.toml).bench;
  rust = only (
    manifest
    ++ facts
    ++ [
      ../src
      ../migrations
    ]
  );
  # The health check lives in every image: it must not change when the service does.
  probe = only (
    manifest
    ++ facts
    ++ [
      ../src/main.rs
      ../src/lib.rs
      ../src/cli.rs
      ../src/env.rs
      ../src/facts.rs
      ../src/probe.rs
      ../src/doctor.rs
      ../src/telemetry/mod.rs
      ../src/telemetry/names.rs
      ../src/telemetry/names
    ]
  );
  everything = only [ root ];
  configs = only [ ../configs ];
  # One program's folder: another program's change leaves its image alone.
  config = program: only [ (../configs + "/${program}") ];
  dashboards = only [ ../dashboards ];
  # What runs the stack of native processes, as it lies in a checkout.
  stack = only [
    ../backends/stack
    ../configs
    ../dashboards
  ];
}
