//! `podman build`: each RUN is a container, made by buildah's code within podman.

use crate::both::files::directory;
use crate::engine::Engine;
use std::fs;

/// What a RUN may mount for itself.
pub(super) fn mounts_of_run(podman: &Engine) {
    let dir = directory(podman, "with-mounts");
    fs::write(dir.join("input"), "from the context\n").unwrap();
    fs::write(dir.join("token"), "hush\n").unwrap();
    let text = "FROM busybox\n\
                RUN --mount=type=bind,source=input,target=/input cat /input >/seen\n\
                RUN --mount=type=tmpfs,target=/scratch grep -q ' /scratch tmpfs ' /proc/mounts && touch /scratch/file\n\
                RUN --mount=type=secret,id=token cat /run/secrets/token >>/seen\n\
                RUN test ! -e /input && test ! -e /scratch/file\n\
                CMD [\"cat\", \"/seen\"]\n";
    fs::write(dir.join("Containerfile"), text).unwrap();
    let secret = format!("id=token,src={}", dir.join("token").display());
    let words = ["build", "--quiet", "--network", "none", "--secret", &secret, "--tag", "mounted"];
    podman.ok(&[&words[..], &[dir.to_str().unwrap()]].concat());
    podman.prints(&["mounted"], "from the context\nhush\n");
    podman.ok(&["rmi", "mounted"]);
}

/// The same result with a layer for each line, and with options that reach the runtime.
pub(super) fn every_line_is_a_layer_or_none(podman: &Engine) {
    let dir = directory(podman, "in-layers");
    let text = "FROM busybox\nRUN ulimit -n >/limit\nRUN cat /proc/self/status | grep CapEff >>/limit\n";
    fs::write(dir.join("Containerfile"), text).unwrap();
    for layers in ["--layers=true", "--layers=false"] {
        let words = ["build", "--quiet", layers, "--no-cache", "--network", "none", "--ulimit", "nofile=123:123"];
        podman.ok(&[&words[..], &["--cap-drop", "all", "--tag", "layered", dir.to_str().unwrap()]].concat());
        podman.prints(&["layered", "cat", "/limit"], "123\nCapEff:\t0000000000000000\n");
    }
    podman.ok(&["rmi", "layered"]);
}
