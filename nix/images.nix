# OCI images, by nix2container: program, baked config, health check, certificates; no shell, no root. The arguments are
# data (`images`), so that tests/ can hold them against configs/ and Terraform's task definitions.
{
  pkgs,
  lib,
  facts,
  source,
  n2c,
  rust,
  loadTester,
  programs,
  ...
}:
let
  inherit (n2c.nix2container) buildImage buildLayer;
  slim = import ./slim.nix { inherit pkgs lib; };
  probe = slim rust.packages.probe;
  user = 65532; # numeric, so that runAsNonRoot can be checked from outside
  etc = "/etc/signalbox";
  config = program: "${etc}/configs/${program}";
  port = program: role: toString facts.stack.${program}.ports.${role};
  all = "0.0.0.0";

  # Loki, Tempo, Mimir and Pyroscope are started alike.
  store = program: more: {
    package = programs.${program};
    command = [
      "${programs.${program}}/bin/${program}"
      "-config.file=${config program}/${program}.yaml"
      "-config.expand-env=true"
    ]
    ++ more;
    configs = [ program ];
    writes = [ program ];
  };
  # It would send its own traces to the collector that it stores for.
  untraced.env.OTEL_TRACES_EXPORTER = "none";

  # program: entry point and arguments, as in configs/processes (tests/nix_wiring.rs); package: whose licence and version;
  # configs: folders of configs/ it holds; env: beyond what its configs read; writes: folders of /data, volumes;
  # stop: the signal that ends it, if not SIGTERM; healthcheck: where the program has no HTTP answer, and health: null where it has none at all.
  images = {
    app = {
      package = rust.packages.app;
      command = [
        "/bin/signalbox"
        "app"
      ];
      env = {
        inherit (facts.cluster) SIGNALBOX_BIND OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL;
      };
    };
    load-tester = {
      package = loadTester.load-tester;
      command = [
        "/bin/signalbox"
        "load"
        "--quiet"
      ];
      env = { inherit (facts.cluster) APP_URL OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL; };
      program = "load";
      health = null; # it ends by itself
    };
    console = {
      package = rust.packages.console;
      command = [
        "/bin/signalbox"
        "console"
      ];
      env = { inherit (facts.cluster) SIGNALBOX_BIND; };
    };
    collector = {
      package = programs.collector;
      # Another variant: replace the second file.
      command = [
        "${programs.collector}/bin/otelcol-contrib"
        "--config=${config "collector"}/core.yaml"
        "--config=${config "collector"}/local.yaml"
      ];
      configs = [ "collector" ];
      writes = [ "collector" ];
    };
    loki = store "loki" [ ];
    prometheus = {
      package = programs.prometheus;
      command = [
        "${programs.prometheus}/bin/prometheus"
        "--config.file=${config "prometheus"}/prometheus.yaml"
        "--storage.tsdb.path=${facts.cluster.SIGNALBOX_STATE}/prometheus"
        "--storage.tsdb.retention.time=7d"
        "--storage.tsdb.retention.size=2GB"
        "--web.listen-address=${all}:${port "prometheus" "http"}"
        "--web.route-prefix=/"
        "--web.enable-remote-write-receiver"
        "--enable-feature=exemplar-storage"
        "--log.level=warn"
      ];
      configs = [ "prometheus" ];
      writes = [ "prometheus" ];
    };
    tempo = store "tempo" [ "-target=all" ] // untraced;
    mimir = store "mimir" [ ] // untraced;
    pyroscope = store "pyroscope" [ ];
    alloy = {
      package = programs.alloy;
      command = [
        "${programs.alloy}/bin/alloy"
        "run"
        "--storage.path=${facts.cluster.SIGNALBOX_STATE}/alloy"
        "--disable-reporting"
        "${config "alloy"}/config.alloy"
      ];
      configs = [ "alloy" ];
      writes = [ "alloy" ];
      program = "collector";
      health = null; # its own page is off loopback only on request
    };
    grafana = {
      package = programs.grafana;
      command = [
        "${programs.grafana}/bin/grafana"
        "server"
        "--homepath=${programs.grafana}/share/grafana"
        "--config=${config "grafana"}/grafana.ini"
      ];
      configs = [ "grafana" ];
      dashboards = true;
      env = {
        GF_PATHS_PLUGINS = "${programs.grafana-plugins}";
        GF_PATHS_PROVISIONING = "${config "grafana"}/provisioning";
      };
      writes = [ "grafana" ];
    };
    nginx = {
      package = programs.nginx;
      command = [
        "${programs.nginx}/bin/nginx"
        "-p"
        "${facts.cluster.SIGNALBOX_STATE}/nginx"
        "-e"
        "stderr"
        "-c"
        "${config "nginx"}/cluster.conf"
      ];
      configs = [ "nginx" ];
      stop = "SIGQUIT";
      writes = [ "nginx" ];
    };
    node-exporter = {
      package = programs.node-exporter;
      command = [
        "${programs.node-exporter}/bin/node_exporter"
        "--web.listen-address=${all}:${port "node-exporter" "http"}"
        "--log.level=warn"
      ];
    };
    postgresql = {
      package = programs.postgresql;
      command = [
        "${postgresql}/bin/postgresql"
        "${facts.cluster.SIGNALBOX_STATE}/postgresql"
        all
      ];
      healthcheck = [
        "/bin/postgresql"
        "--ready"
        "127.0.0.1"
      ];
      shell = true; # initdb itself runs one
      stop = "SIGINT";
      writes = [ "postgresql" ];
    };
    s3 = {
      package = programs.s3;
      command = [
        "${programs.s3}/bin/versitygw"
        "--port"
        "${all}:${port "s3" "http"}"
        "--health"
        facts.stack.s3.health
        "--region"
        facts.cluster.AWS_REGION
        "posix"
        "--sidecar"
        "${facts.cluster.SIGNALBOX_STATE}/s3/attributes"
        "${facts.cluster.SIGNALBOX_STATE}/s3/data"
      ];
      writes = [
        "s3/attributes"
        "s3/data"
      ];
    };
  };

  # What limits.json allows, less a tenth: a Go program then collects garbage before it is killed.
  memory =
    program:
    lib.optionalAttrs (facts.limits.mib ? ${program}) {
      GOMEMLIMIT = "${toString (facts.limits.mib.${program} * 9 / 10)}MiB";
    };

  # The script that starts it in every other run mode, with what it calls.
  postgresql = pkgs.writeShellApplication {
    name = "postgresql";
    runtimeInputs = [
      programs.postgresql
      pkgs.coreutils
    ];
    text = builtins.readFile ../configs/processes/postgresql;
  };

  certificates = buildLayer { deps = [ pkgs.cacert ]; };
  # Names resolve and uploads are verified in every image, and the user has a name, without which some programs refuse to
  # start (initdb); the programs need nothing else of a base image.
  root =
    name: image:
    pkgs.runCommandLocal "${name}-root" { } (
      ''
        mkdir -p $out/bin $out/tmp $out${etc}/configs $out/data ${
          lib.concatMapStringsSep " " (folder: "$out/data/${folder}") (image.writes or [ ])
        }
        ln -s ${image.own or probe}/bin/signalbox $out/bin/signalbox
        echo "signalbox:x:${toString user}:${toString user}::/data:/bin/false" > $out/etc/passwd
      ''
      + lib.optionalString (image.shell or false) ''
        ln -s ${pkgs.runtimeShell} $out/bin/sh
        ln -s ${lib.head image.command} $out/bin/${name}
      ''
      + lib.concatMapStrings (
        folder: "cp -r ${source.config folder}/configs/${folder} $out${config folder}\n"
      ) (image.configs or [ ])
      + lib.optionalString (image.dashboards or false
      ) "cp -r ${source.dashboards}/dashboards $out${etc}/dashboards\n"
    );
  ours = [
    "app"
    "load-tester"
    "console"
  ];

  texts =
    image:
    lib.concatMapStrings (
      folder:
      lib.concatMapStrings builtins.readFile (
        lib.filter (
          path: lib.hasSuffix ".yaml" path || lib.hasSuffix ".alloy" path || lib.hasSuffix ".ini" path
        ) (map toString (lib.filesystem.listFilesRecursive (../configs + "/${folder}")))
      )
    ) (image.configs or [ ]);

  make =
    name: declared:
    let
      image = declared // lib.optionalAttrs (lib.elem name ours) { own = slim declared.package; };
      program = image.program or name;
      tree = root name image;
      env =
        facts.variablesIn (texts image)
        // lib.optionalAttrs (!image ? own) (memory program)
        // {
          SSL_CERT_FILE = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
        }
        // (image.env or { });
      health =
        if image ? healthcheck then
          image.healthcheck
        else if image ? health then
          null
        else
          [
            "/bin/signalbox"
            "probe"
            (facts.healthUrl program)
          ];
    in
    buildImage {
      name = "signalbox-${name}";
      copyToRoot = [ tree ];
      layers = [
        certificates
      ]
      ++ lib.optional (!image ? own) (buildLayer {
        deps = [ image.package ];
        layers = [ certificates ];
        maxLayers = 4;
      });
      perms = [
        {
          path = tree;
          regex = "${tree}/(data|tmp).*";
          mode = "0700";
          uid = user;
          gid = user;
        }
      ];
      config = {
        Entrypoint = [ (lib.head image.command) ];
        Cmd = lib.tail image.command;
        User = "${toString user}:${toString user}";
        WorkingDir = "/data";
        StopSignal = image.stop or "SIGTERM";
        Env = lib.mapAttrsToList (variable: value: "${variable}=${value}") env;
        ExposedPorts = lib.mapAttrs' (
          _: number: lib.nameValuePair "${toString number}/tcp" { }
        ) facts.stack.${program}.ports;
        Volumes = {
          "/tmp" = { };
        }
        // lib.listToAttrs (map (folder: lib.nameValuePair "/data/${folder}" { }) (image.writes or [ ]));
        Labels = {
          "org.opencontainers.image.title" = "signalbox-${name}";
          "org.opencontainers.image.version" = image.package.version;
          "org.opencontainers.image.licenses" = licence image.package;
        }
        // lib.optionalAttrs (health != null) {
          # OCI has no field for it: for whoever starts the image (compose.yaml, ECS' task definitions, --health-cmd).
          "io.signalbox.healthcheck" = builtins.toJSON ([ "CMD" ] ++ health);
        };
      };
    };
  licence =
    package:
    lib.concatMapStringsSep " AND " (one: one.spdxId or one.shortName or "NOASSERTION") (
      lib.unique (lib.flatten (lib.toList package.meta.license))
    );

  built = lib.mapAttrs make images;
  # A script of this folder.
  script = name: description: more: {
    type = "app";
    meta = { inherit description; };
    program = lib.getExe (
      pkgs.writeShellApplication (
        {
          inherit name;
          runtimeInputs = [ pkgs.jq ];
          text = builtins.readFile (./. + "/${name}.sh");
        }
        // more
      )
    );
  };
  # One that works on the images it is given, or on all of them.
  onImages = {
    runtimeInputs = [
      n2c.skopeo-nix2container
      pkgs.jq
    ];
    runtimeEnv.IMAGES = pkgs.writeText "images.json" (
      builtins.toJSON (
        lib.mapAttrs (_: image: {
          file = "${image}";
          tag = image.imageTag;
        }) built
      )
    );
  };
  manifest = lib.mapAttrs (name: image: {
    inherit (image) imageName imageTag;
    version = images.${name}.package.version;
    licence = licence images.${name}.package;
    configs = images.${name}.configs or [ ];
  }) built;
in
{
  inherit images;
  packages = lib.mapAttrs' (name: lib.nameValuePair "image-${name}") built // {
    # Every image by name, and manifest.json: name, content tag, size in bytes, config folders, licence.
    images = pkgs.runCommandLocal "signalbox-images" { nativeBuildInputs = [ pkgs.jq ]; } ''
      mkdir $out
      ${lib.concatStrings (lib.mapAttrsToList (name: image: "ln -s ${image} $out/${name}.json\n") built)}
      for image in $out/*.json; do
        jq --arg name "$(basename "$image" .json)" '{ ($name): { size: ([ .layers[].size ] | add) } }' "$image"
      done | jq --slurp --argjson facts ${lib.escapeShellArg (builtins.toJSON manifest)} \
        'add as $sizes | $facts | with_entries(.value += $sizes[.key])' > $out/manifest.json
    '';
  };
  apps = {
    push-images =
      script "push-images"
        "push-images REGISTRY/PREFIX [IMAGE..]: push what is not there yet; digests as JSON on stdout"
        onImages;
    load-images =
      script "load-images" "load-images docker|podman [IMAGE..]: put images where compose.yaml finds them"
        onImages;
    # The caller's own Nix does the downloading.
    lock-plugins =
      script "lock-plugins" "fill nix/grafana-plugins.json, so that the image holds AWS' Grafana plugins"
        { };
  };
}
