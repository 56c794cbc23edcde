//! Link flags of the binary alone (in .cargo/config they would break the tests), and the commit it was built from.

use std::process::Command;

fn main() {
    for arg in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--gc-sections",
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack",
        "-Wl,-z,norelro",
        // link.ld says where pages begin. Else the file would be padded to the page of variables that it does not have.
        "-Wl,-z,max-page-size=16",
        "-Wl,--no-eh-frame-hdr",
        concat!("-Wl,-T,", env!("CARGO_MANIFEST_DIR"), "/src/sys/link.ld"),
    ] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    println!("cargo:rerun-if-env-changed=ISOPOD_COMMIT");
    // In a linked worktree these are elsewhere; what is not there would have everything built again each time.
    let names = [Some("HEAD".to_owned()), git(&["symbolic-ref", "HEAD"])];
    for path in names.iter().flatten().filter_map(|name| git(&["rev-parse", "--git-path", name])) {
        println!("cargo:rerun-if-changed={path}");
    }
    println!("cargo:rerun-if-changed=src/sys/link.ld");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ISOPOD_COMMIT={}", commit());
}

/// What `--version` prints: the environment decides (a release built outside of git), then git, else "unknown".
fn commit() -> String {
    if let Ok(given) = std::env::var("ISOPOD_COMMIT") {
        return given;
    }
    git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned())
}

fn git(words: &[&str]) -> Option<String> {
    let out = Command::new("git").args(words).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
