# A program of ours with the four libraries that it loads, instead of all of glibc and gcc behind it: what an image holds.
# Called by images.nix. The package itself stays as nixpkgs would have it, for hosts that share a store.
{ pkgs, lib, ... }:
package:
pkgs.runCommand "${package.pname}-slim-${package.version}"
  {
    nativeBuildInputs = [
      pkgs.patchelf
      pkgs.nukeReferences
    ];
    # What else it wants is named by a failing build, not carried along.
    allowedReferences = [ "out" ];
  }
  ''
    program=$out/bin/signalbox
    mkdir -p $out/bin $out/lib
    cp ${lib.getExe package} $program
    loader=$(patchelf --print-interpreter $program)
    # Lines such as `libm.so.6 => /nix/store/../libm.so.6 (0x7f..)`; the loader stands there without an arrow.
    libraries=$($loader --list $program | sed -n 's|.* => \(/[^ ]*\) (.*|\1|p')
    cp -L $loader $libraries $out/lib
    chmod -R u+w $out
    # Where glibc would look for locales and character sets: there are none in an image. patchelf writes the program's anew.
    nuke-refs $out/lib/* $program
    patchelf --set-interpreter $out/lib/$(basename $loader) --set-rpath $out/lib $program
    $program --version
  ''
