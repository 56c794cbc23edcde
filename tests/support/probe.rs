//! The C probe: for what busybox cannot show without changing it. Compiled once for each run of the tests, unless
//! `CONFORMANCE_PROBE` names one that has been compiled before, for a machine without a compiler.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

static PROBE: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| given().unwrap_or_else(compile));

/// The static program, or why there is none.
pub fn path() -> Result<PathBuf, String> {
    PROBE.clone()
}

fn given() -> Option<Result<PathBuf, String>> {
    let path = PathBuf::from(std::env::var_os("CONFORMANCE_PROBE")?);
    Some(if path.exists() { Ok(path) } else { Err(format!("no {}", path.display())) })
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
    if given().is_none()
        && let Ok(path) = path()
    {
        let _ = std::fs::remove_file(path);
    }
}
