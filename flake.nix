# One concern a file in nix/; each is given `parts`. New to Nix: docs/nix.md.
{
  description = "A complete, reproducible observability stack around an instrumented Rust service";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
  inputs.crane.url = "github:ipetkov/crane";
  inputs.naersk.url = "github:nix-community/naersk";
  inputs.naersk.inputs.nixpkgs.follows = "nixpkgs";
  inputs.naersk.inputs.fenix.follows = ""; # only its own tests want it
  inputs.nix2container.url = "github:nlewo/nix2container";
  inputs.nix2container.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { self, ... }@inputs:
    let
      inherit (inputs.nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [ "aarch64-darwin" ];
      on = systems: make: lib.genAttrs systems (system: make (parts system));
      parts =
        system:
        lib.fix (here: {
          inherit lib;
          pkgs = inputs.nixpkgs.legacyPackages.${system};
          crane = inputs.crane.mkLib here.pkgs;
          naersk = inputs.naersk.lib.${system};
          n2c = inputs.nix2container.packages.${system};
          facts = import ./nix/facts.nix here;
          source = import ./nix/source.nix here;
          rust = import ./nix/app.nix here;
          loadTester = import ./nix/load-tester.nix here;
          files = import ./nix/configs.nix here;
          programs = import ./nix/programs.nix here;
          images = import ./nix/images.nix here;
          stack = import ./nix/stack.nix here;
          checks = import ./nix/checks.nix here;
          shells = import ./nix/devshell.nix here;
        });
    in
    {
      packages =
        on linux (p: p.rust.packages // p.loadTester // p.files // p.images.packages)
        // on darwin (p: p.rust.packages);
      apps = on linux (p: p.stack.apps // p.images.apps) // on darwin (p: p.stack.embedded);
      devShells = on (linux ++ darwin) (p: p.shells);
      checks = on linux (p: p.checks);
      formatter = on (linux ++ darwin) (p: p.pkgs.nixfmt-tree);
      overlays.default = final: _: {
        signalbox = self.packages.${final.stdenv.hostPlatform.system}.default;
      };
      nixosModules.signalbox = import ./nix/module.nix { inherit self; };
      templates.service = {
        path = ./nix/template;
        description = "An instrumented Rust service that exports to signalbox";
      };
    };
}
