# Stands in for crane in wiring tests: see ../nixpkgs.
{
  outputs = _: {
    mkLib =
      pkgs:
      let
        make =
          kind: arguments:
          pkgs.runCommand "${arguments.pname or kind}-${kind}" arguments ""
          // {
            meta = pkgs.jq.meta // (arguments.meta or { license.spdxId = "stub"; });
          };
      in
      pkgs.lib.genAttrs [
        "buildDepsOnly"
        "buildPackage"
        "cargoClippy"
        "cargoDeny"
        "cargoDoc"
        "cargoFmt"
        "devShell"
        "mkCargoDerivation"
      ] make;
  };
}
