#!/usr/bin/env python3
"""Writes the module as an image in OCI layout, as Istio and Envoy Gateway pull it.

Both take an image whose last layer is a `tar+gzip` with a file `plugin.wasm` (the "compat" variant of the Wasm image
specification), or a bare Wasm layer beside a configuration. The first is written here: for a registry, and for the tools
that copy images, it is an image like any other.

The same module gives the same bytes, and so the same digest: no time, owner or path of this machine goes in.

usage: oci.py MODULE VERSION FOLDER
"""

import hashlib
import io
import json
import pathlib
import shutil
import struct
import sys
import tarfile
import zlib

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
BEGINNING = "1970-01-01T00:00:00Z"


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar(name, data):
    """An archive with one file of root's, from the beginning of time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o644
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        writer.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def gzip(data):
    """RFC 1952, header included: what Python's own module puts there differs from version to version."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return header + deflate.compress(data) + deflate.flush() + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


class Layout:
    """A folder as the OCI image layout has it. What `index` lists can be pulled; an SBOM would be one more manifest there."""

    def __init__(self, folder):
        self.folder, self.index = folder, []
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "blobs/sha256").mkdir(parents=True)
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def write(self, name, document):
        (self.folder / name).write_bytes(encoded(document))

    def blob(self, media_type, data):
        digest = sha256(data)
        (self.folder / "blobs" / digest.replace(":", "/")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def close(self):
        self.write("index.json", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": self.index})


def encoded(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def image(layout, module, version):
    """The manifest's digest, which a deployment can name in place of a tag."""
    archive = tar("plugin.wasm", module)
    about = {
        "org.opencontainers.image.title": "mdrm-authz",
        "org.opencontainers.image.description": "Envoy filter (proxy-wasm) that authorises multi-DRM license and CPIX requests",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    config = {
        # The names that Go, and so the OCI specification, gives wasm32-wasip1.
        "architecture": "wasm",
        "os": "wasip1",
        "created": BEGINNING,
        "config": {"Labels": about},
        "rootfs": {"type": "layers", "diff_ids": [sha256(archive)]},
        "history": [{"created": BEGINNING, "comment": "plugin.wasm"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.blob(CONFIG, encoded(config)),
        "layers": [layout.blob(LAYER, gzip(archive))],
        "annotations": about,
    }
    described = layout.blob(MANIFEST, encoded(manifest))
    layout.index.append({**described, "annotations": {"org.opencontainers.image.ref.name": version}})
    return described["digest"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    module, version, folder = pathlib.Path(sys.argv[1]).read_bytes(), sys.argv[2], pathlib.Path(sys.argv[3])
    layout = Layout(folder)
    digest = image(layout, module, version)
    layout.close()
    print(f"oci:{folder}:{version}")
    print(f"as an image: @{digest}")
    print(f"plugin.wasm: {sha256(module)}")


if __name__ == "__main__":
    main()
