# A starter: one instrumented Rust service. `nix develop`, then `cargo run`; see README.md.
{
  description = "An instrumented Rust service";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
  inputs.crane.url = "github:ipetkov/crane";

  outputs =
    { nixpkgs, crane, ... }:
    let
      on = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      lib = system: crane.mkLib nixpkgs.legacyPackages.${system};
    in
    {
      packages = on (system: {
        default = (lib system).buildPackage { src = (lib system).cleanCargoSource ./.; };
      });
      devShells = on (system: {
        default = (lib system).devShell { };
      });
    };
}
