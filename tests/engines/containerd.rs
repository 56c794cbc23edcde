//! containerd, as `ctr` and Docker use it.

use crate::host::{self, Daemon};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A containerd of the tests' own. Without what Kubernetes needs of it.
pub(crate) struct Containerd {
    pub(crate) socket: PathBuf,
    daemon: Daemon,
}

impl Containerd {
    /// Starts one that keeps everything in this directory; only the sockets of its shims are in /run/containerd.
    pub(crate) fn start(dir: &Path) -> Containerd {
        let (config, socket) = (dir.join("containerd.toml"), dir.join("containerd.sock"));
        let text = format!(
            r#"
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{1}"
"#,
            dir.display(),
            socket.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("containerd");
        command.arg("--config").arg(&config);
        let mut client = Command::new("ctr");
        client.arg("--address").arg(&socket).arg("version");
        let daemon = Daemon::start(&mut command, dir.join("containerd.log"), || host::output(&client, b"").status == 0);
        Containerd { socket, daemon }
    }

    pub(crate) fn stop(&self) {
        self.daemon.stop();
    }
}
