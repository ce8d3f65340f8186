# Stands in for nix2container in wiring tests: see ../nixpkgs.
{
  outputs =
    { nixpkgs, ... }:
    {
      packages = builtins.mapAttrs (_: pkgs: {
        skopeo-nix2container = pkgs.skopeo;
        nix2container = {
          buildLayer = arguments: pkgs.runCommand "layer" arguments "";
          buildImage =
            arguments:
            pkgs.runCommand arguments.name arguments ""
            // {
              imageName = arguments.name;
              imageTag = "stub";
            };
        };
      }) nixpkgs.legacyPackages;
    };
}
