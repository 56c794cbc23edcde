//! What a user sees when it does not work, and the exit status that scripts go by.

use crate::engine::{Engine, IMAGE, Kind};

/// 127: engines find that in the runtime's words. (Not in runc's about a file that is taken for a directory.)
pub(crate) fn missing_executable(engine: &Engine) {
    for program in ["/bin/missing", "missing", "/etc/passwd/missing"] {
        engine.run(&[IMAGE, program]).fails(127, &[program]);
    }
}

/// 126 for one that is there.
pub(crate) fn not_executable(engine: &Engine) {
    for program in ["/etc/passwd", "/etc"] {
        engine.run(&[IMAGE, program]).fails(126, &[program, "permission denied"]);
    }
}

/// 126 too for one that others may execute.
pub(crate) fn executable_for_others(engine: &Engine) {
    let dir = super::files::directory(engine, "others");
    std::fs::write(dir.join("tool"), "#!/bin/sh\n").unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    std::fs::set_permissions(dir.join("tool"), mode).unwrap();
    let volume = format!("{}/tool:/tool", dir.display());
    engine.run(&["-v", &volume, "--user", "1234", IMAGE, "/tool"]).fails(126, &["/tool", "permission denied"]);
}

/// After its message comes podman's word for it; Docker 20.10 gives 126 for every exec that does not begin.
pub(crate) fn exec_errors(engine: &Engine) {
    engine.sleeper("exec_errors", &[]);
    let [missing, refused] = if engine.kind == Kind::Podman { [127, 126] } else { [126, 126] };
    for program in ["/bin/missing", "missing"] {
        let output = engine.call(&["exec", "exec_errors", program]);
        output.fails(missing, &[program]);
    }
    for program in ["/etc/passwd", "/etc"] {
        let output = engine.call(&["exec", "exec_errors", program]);
        output.fails(refused, &[program, "permission denied"]);
    }
    let output = engine.call(&["exec", "--workdir", "/nowhere", "exec_errors", "true"]);
    output.fails(missing, &["/nowhere", "no such file or directory"]);
    engine.ok(&["stop", "--time", "0", "exec_errors"]);
    let output = engine.call(&["exec", "exec_errors", "true"]);
    assert!(output.status != 0 && output.stderr.contains("running"), "{output:?}");
    engine.ok(&["rm", "exec_errors"]);
}

/// A container that is not there, and one that does not run.
pub(crate) fn states(engine: &Engine) {
    for verb in ["start", "stop", "kill", "pause", "exec"] {
        let words = if verb == "exec" { vec![verb, "nobody", "true"] } else { vec![verb, "nobody"] };
        let output = engine.call(&words);
        assert!(output.status != 0 && output.stderr.to_lowercase().contains("no such container"), "{output:?}");
    }
    let ran = engine.run_kept("ended", &[IMAGE, "true"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for verb in ["pause", "unpause", "kill"] {
        let output = engine.call(&[verb, "ended"]);
        assert!(output.status != 0 && !output.stderr.is_empty(), "{output:?}");
    }
    engine.ok(&["rm", "ended"]);
}

/// A sysctl that the kernel does not have.
pub(crate) fn unknown_sysctl(engine: &Engine) {
    let output = engine.run(&["--sysctl", "net.nonsense=1", IMAGE, "true"]);
    assert!(output.status != 0 && output.stderr.contains("nonsense"), "{output:?}");
}
