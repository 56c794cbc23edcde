//! The C probe: for what busybox cannot show without changing it. Compiled once for each run of the tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

static PROBE: LazyLock<Result<PathBuf, String>> = LazyLock::new(compile);

/// The static program, or why there is none.
pub fn path() -> Result<PathBuf, String> {
    PROBE.clone()
}

fn compile() -> Result<PathBuf, String> {
    let target = std::env::temp_dir().join(format!("conformance-probe-{}", std::process::id()));
    let source = target.with_extension("c");
    std::fs::write(&source, include_str!("probe.c")).expect("write");
    let built = |compiler: &&str| {
        let mut command = Command::new(compiler);
        command.args(["-static", "-Os", "-o"]).args([&target, &source]);
        command.output().is_ok_and(|output| output.status.success())
    };
    let found = ["musl-gcc", "cc", "gcc"].iter().any(built);
    let _ = std::fs::remove_file(&source);
    if found { Ok(target) } else { Err("no C compiler that links statically".into()) }
}

/// Takes the compiled program away again at the end of the run.
pub fn remove() {
    if let Ok(path) = path() {
        let _ = std::fs::remove_file(path);
    }
}
