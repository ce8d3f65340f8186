# NixOS: the service and a collector as system services. `services.signalbox.enable = true;` and the addresses.
{ self }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.signalbox;
  packages = self.packages.${pkgs.stdenv.hostPlatform.system};
  # Of signalbox's own nixpkgs: the configs are written for its version.
  programs = import ./programs.nix {
    inherit lib;
    pkgs = self.inputs.nixpkgs.legacyPackages.${pkgs.stdenv.hostPlatform.system};
  };
  hardening = {
    DynamicUser = true;
    # One for both: the state folder is theirs together.
    User = "signalbox";
    NoNewPrivileges = true;
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    RestrictAddressFamilies = [
      "AF_INET"
      "AF_INET6"
      "AF_UNIX"
    ];
    Restart = "on-failure";
  };
in
{
  options.services.signalbox = {
    enable = lib.mkEnableOption "the signalbox service and its collector";
    package = lib.mkOption {
      type = lib.types.package;
      default = packages.app;
      defaultText = lib.literalExpression "signalbox.packages.\${system}.app";
      description = "The service.";
    };
    collectorPackage = lib.mkOption {
      type = lib.types.package;
      default = programs.collector;
      defaultText = lib.literalExpression "otelcol-contrib of signalbox's own nixpkgs";
      description = "The OpenTelemetry collector; backends/programs has the oldest that knows the names in the configs.";
    };
    collectorConfigs = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [
        "core.yaml"
        "local.yaml"
      ];
      description = "Files of configs/collector, merged in this order.";
    };
    environment = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = {
        LOKI_URL = "http://loki.internal:3100";
      };
      description = "What differs from configs/environments/local.env; every variable is in configs/README.md.";
    };
    environmentFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "File of secrets such as DATABASE_URL, NAME=value lines; not copied to the store.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services =
      let
        state = "/var/lib/signalbox"; # StateDirectory
        own = pkgs.writeText "signalbox.env" (
          lib.concatStrings (
            lib.mapAttrsToList (name: value: "${name}=${value}\n") (
              {
                SIGNALBOX_STATE = state;
                DATABASE_URL = "sqlite:${state}/tasks.db"; # in memory without it
              }
              // cfg.environment
            )
          )
        );
        service = description: command: {
          inherit description;
          wantedBy = [ "multi-user.target" ];
          after = [ "network-online.target" ];
          wants = [ "network-online.target" ];
          serviceConfig = hardening // {
            ExecStart = command;
            StateDirectory = "signalbox";
            # The later file wins; `Environment=` would lose against all of them.
            EnvironmentFile = [
              "${packages.configs}/etc/signalbox/configs/environments/local.env"
              own
            ]
            ++ lib.optional (cfg.environmentFile != null) cfg.environmentFile;
          };
        };
      in
      {
        signalbox = service "signalbox: the instrumented service" "${lib.getExe cfg.package} app";
        signalbox-collector = service "signalbox: the OpenTelemetry collector" (
          lib.concatStringsSep " " (
            [ (lib.getExe' cfg.collectorPackage "otelcol-contrib") ]
            ++ map (
              file: "--config=${packages.configs}/etc/signalbox/configs/collector/${file}"
            ) cfg.collectorConfigs
          )
        );
      };
  };
}
