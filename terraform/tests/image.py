"""Makes an OCI image of the built binary and its libraries, with the arguments that nix/images.nix gives its app image: what
stands in for `nix build .#images` where there is no Nix. Used by test_image.py; standard library only.

It has no layers to speak of: it shows that the task definition's settings run the program, nothing of size.
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile

USER = 65532
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def libraries(binary):
    """Paths of the libraries and the loader that the binary needs."""
    text = subprocess.run(["ldd", binary], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+)", text)))


def layer(binary):
    blob = io.BytesIO()
    with tarfile.open(fileobj=blob, mode="w") as tar:

        def folder(name, mode=0o755, owner=0):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, owner
            tar.addfile(entry)

        def file(name, path):
            data = pathlib.Path(path).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))

        folder("bin")
        # The app's HTTP client starts with the system's certificates, or not at all.
        file(CERTIFICATES.lstrip("/"), CERTIFICATES)
        folder("tmp", 0o700, USER)
        folder("data", 0o700, USER)
        file("bin/signalbox", binary)
        for library in libraries(binary):
            file(library.lstrip("/"), library)
    return blob.getvalue()


def oci_layout(folder, binary, arguments):
    """Writes an image as an OCI layout: `skopeo copy oci:FOLDER ...`."""
    folder = pathlib.Path(folder)
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    plain = layer(binary)
    packed = blob(gzip.compress(plain, 1, mtime=0))
    config = blob(json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {
            "Entrypoint": ["/bin/signalbox"], "Cmd": arguments, "User": f"{USER}:{USER}", "WorkingDir": "/data",
            "Volumes": {"/tmp": {}}, "Env": ["SIGNALBOX_BIND=0.0.0.0", f"SSL_CERT_FILE={CERTIFICATES}"],
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain).hexdigest()]},
    }).encode())
    kind = "application/vnd.oci.image"
    manifest = blob(json.dumps({
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": {"mediaType": f"{kind}.config.v1+json", **config},
        "layers": [{"mediaType": f"{kind}.layer.v1.tar+gzip", **packed}],
    }).encode())
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({
        "schemaVersion": 2, "manifests": [{"mediaType": f"{kind}.manifest.v1+json", **manifest}],
    }))
    return manifest["digest"]
