# Development shells: `nix develop` for Rust and the stack, `nix develop .#ops` for deploying it.
{
  pkgs,
  lib,
  rust,
  stack,
  ...
}:
let
  greeting = ''
    echo "signalbox: what to do here (just NAME)"
    just --list --unsorted --list-heading "" 2>/dev/null || true
  '';
  developer = [
    pkgs.cargo
    pkgs.rustc
    pkgs.clippy
    pkgs.rustfmt
    pkgs.rust-analyzer
    pkgs.cargo-deny
    pkgs.just
    pkgs.jq
    pkgs.nodejs
    pkgs.nixfmt
    pkgs.deadnix
  ]
  ++ lib.optionals pkgs.stdenv.hostPlatform.isLinux stack.tools;
  operator = [
    pkgs.opentofu
    pkgs.kustomize
    pkgs.awscli2
    pkgs.skopeo
    pkgs.actionlint
    pkgs.gitleaks
  ];
  shell =
    packages:
    rust.crane.devShell {
      inherit packages;
      shellHook = greeting;
    };
in
{
  default = shell developer;
  ops = shell (developer ++ operator);
}
