# What configs/ says, as Nix values. Read by every other file here; nothing may be retyped.
{ lib, ... }:
let
  stack = lib.importJSON ../configs/stack.json;
  limits = lib.importJSON ../configs/limits.json;
  # NAME=value lines; comments and blank lines aside.
  environment =
    file:
    lib.listToAttrs (
      lib.concatMap (
        line:
        let
          parts = builtins.match "([A-Z][A-Z0-9_]*)=(.*)" line;
        in
        if parts == null then
          [ ]
        else
          [
            {
              name = lib.elemAt parts 0;
              value = lib.elemAt parts 1;
            }
          ]
      ) (lib.splitString "\n" (builtins.readFile file))
    );
  cluster = environment ../configs/environments/cluster.env;
in
{
  inherit stack limits cluster;
  # Address of a program's health answer from inside its own container.
  healthUrl =
    program:
    let
      inherit (stack.${program}) ports;
      path = stack.${program}.ready or stack.${program}.health;
    in
    "http://127.0.0.1:${toString (ports.health or ports.page or ports.http)}${path}";
  # The variables of the cluster that a text names, as ${NAME} or ${env:NAME}.
  variablesIn =
    text:
    lib.filterAttrs (
      name: _:
      lib.hasInfix "{${name}}" text || lib.hasInfix "{${name}:" text || lib.hasInfix "{env:${name}" text
    ) cluster;
}
