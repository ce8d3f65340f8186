# The part of nixpkgs' lib that our files call, with its documented meaning.
builtins
// rec {
  fix =
    f:
    let
      result = f result;
    in
    result;
  genAttrs = names: make: builtins.listToAttrs (map (name: nameValuePair name (make name)) names);
  nameValuePair = name: value: { inherit name value; };
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  importTOML = path: builtins.fromTOML (builtins.readFile path);
  splitString = by: text: builtins.filter builtins.isString (builtins.split by text);
  hasInfix = part: text: builtins.replaceStrings [ part ] [ "" ] text != text;
  hasSuffix =
    end: text:
    let
      from = builtins.stringLength text - builtins.stringLength end;
    in
    from >= 0 && builtins.substring from (-1) text == end;
  filterAttrs =
    keep: set:
    removeAttrs set (builtins.filter (name: !keep name set.${name}) (builtins.attrNames set));
  mapAttrs' = f: set: builtins.listToAttrs (builtins.attrValues (builtins.mapAttrs f set));
  mapAttrsToList = f: set: builtins.attrValues (builtins.mapAttrs f set);
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  optionalString = condition: text: if condition then text else "";
  throwIf =
    condition: message: value:
    if condition then throw message else value;
  versionOlder = one: other: builtins.compareVersions one other < 0;
  flatten = value: if builtins.isList value then builtins.concatMap flatten value else [ value ];
  unique = builtins.foldl' (seen: one: if builtins.elem one seen then seen else seen ++ [ one ]) [ ];
  toList = value: if builtins.isList value then value else [ value ];
  concatStrings = builtins.concatStringsSep "";
  concatMapStrings = f: list: concatStrings (map f list);
  concatMapStringsSep =
    by: f: list:
    builtins.concatStringsSep by (map f list);
  escapeShellArg = text: "'${toString text}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  getExe = package: getExe' package package.meta.mainProgram;
  getExe' = package: program: "${package}/bin/${program}";
  # A NixOS module's options as they are written; nobody checks a value's type here.
  mkOption = option: option;
  mkEnableOption = description: {
    default = false;
    inherit description;
  };
  mkIf = condition: value: if condition then value else { };
  literalExpression = text: text;
  types = {
    package = "package";
    path = "path";
    str = "str";
    attrsOf = of: "attrsOf ${of}";
    listOf = of: "listOf ${of}";
    nullOr = of: "nullOr ${of}";
  };
  licenses.asl20.spdxId = "Apache-2.0";
  fileset = {
    unions = map (
      path: if builtins.pathExists path then path else throw "no such file: ${toString path}"
    );
    toSource = { root, fileset }: builtins.seq (builtins.length fileset) "${root}";
  };
  filesystem.listFilesRecursive =
    folder:
    builtins.concatMap (
      name:
      let
        path = folder + "/${name}";
      in
      if (builtins.readDir folder).${name} == "directory" then
        filesystem.listFilesRecursive path
      else
        [ path ]
    ) (builtins.attrNames (builtins.readDir folder));
}
