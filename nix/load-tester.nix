# The load tester, by naersk. Features choose it: naersk cannot pass --bin in its two-step builds.
{
  naersk,
  source,
  lib,
  ...
}:
{
  load-tester = naersk.buildPackage {
    pname = "signalbox-load";
    version = (lib.importTOML ../Cargo.toml).package.version;
    src = source.rust;
    postPatch = source.benches;
    cargoBuildOptions =
      default:
      default
      ++ [
        "--locked"
        "--no-default-features"
        "--features"
        "load"
      ];
    meta = {
      description = "Load tester of signalbox";
      license = lib.licenses.asl20;
      mainProgram = "signalbox";
    };
  };
}
