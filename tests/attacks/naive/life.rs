//! Its commands.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use jzon::JsonValue;
use nix::libc;

use super::{Done, Words, checked, process, root};

fn config(bundle: &str) -> Done<JsonValue> {
    let text = fs::read_to_string(Path::new(bundle).join("config.json")).map_err(|error| format!("config: {error}"))?;
    jzon::parse(&text).map_err(|error| format!("config: {error}"))
}

/// CLONE_NEW* of the namespaces to be made. A length of 16 bits, as in a netlink message, comes before each path.
fn namespaces(config: &JsonValue) -> libc::c_int {
    let mut flags = 0;
    for namespace in config["linux"]["namespaces"].members() {
        let path = namespace["path"].as_str().unwrap_or("");
        if path.len() > 0xffff {
            // What follows is read from the middle of the path.
            break;
        }
        if !path.is_empty() {
            let _ = process::join(path);
            continue;
        }
        flags |= match namespace["type"].as_str().unwrap_or("") {
            "pid" => libc::CLONE_NEWPID,
            "network" => libc::CLONE_NEWNET,
            "ipc" => libc::CLONE_NEWIPC,
            "uts" => libc::CLONE_NEWUTS,
            "mount" => libc::CLONE_NEWNS,
            "cgroup" => libc::CLONE_NEWCGROUP,
            _ => 0,
        };
    }
    flags
}

/// Hooks and helpers get the container's environment, and everything else of ours.
fn hooks(config: &JsonValue, stage: &str) -> Done<()> {
    for hook in config["hooks"][stage].members() {
        let mut command = Command::new(hook["path"].as_str().unwrap_or(""));
        command.args(hook["args"].members().skip(1).filter_map(|word| word.as_str())).stdin(Stdio::null());
        command.arg0(hook["args"][0].as_str().unwrap_or(""));
        command.envs(process::environment(config));
        let status = command.status().map_err(|error| format!("hook: {error}"))?;
        if !status.success() {
            return Err("a hook failed".into());
        }
    }
    Ok(())
}

/// Searched for in the container's PATH and then in ours, whatever is in there.
fn helper(config: &JsonValue, name: &str) {
    let path = process::environment(config).into_iter().find(|(name, _)| name == "PATH").unwrap_or_default().1;
    let rootfs = config["root"]["path"].as_str().unwrap_or("rootfs");
    let inside = path.split(':').map(|dir| Path::new(rootfs).join(dir.trim_start_matches('/')));
    let outside = std::env::var("PATH").unwrap_or_default();
    for dir in inside.chain(outside.split(':').map(Into::into)) {
        let program = dir.join(name);
        if program.is_file() {
            let _ = Command::new(fs::canonicalize(program).unwrap_or_default()).status();
            return;
        }
    }
}

#[allow(unsafe_code)]
fn fork() -> Done<libc::pid_t> {
    checked("fork", unsafe { libc::fork() })
}

#[allow(unsafe_code)]
fn wait(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// The process in between, our child, which waits for init; init's own number is in the file `pid`.
pub(super) fn create(words: &Words) -> Done<libc::pid_t> {
    let bundle = words.option(&["--bundle", "-b"]).unwrap_or(".");
    std::env::set_current_dir(bundle).map_err(|error| format!("bundle: {error}"))?;
    let mut config = config(".")?;
    let state = words.state();
    fs::create_dir_all(&state).map_err(|error| format!("state: {error}"))?;
    let _ = fs::copy("config.json", state.join("config.json"));
    root::announce(words.id());
    hooks(&config, "prestart")?;
    hooks(&config, "createRuntime")?;
    if !config["linux"]["uidMappings"].is_empty() {
        helper(&config, "newuidmap");
    }
    let rootfs = config["root"]["path"].as_str().unwrap_or("rootfs").to_owned();
    let _ = config["process"]["env"].push(format!("HOME={}", root::home(Path::new(&rootfs))));
    let fifo = state.join("exec.fifo");
    let waits = words.rest[0] == "create";
    let mut start = None;
    if waits {
        let _ = Command::new("mkfifo").arg(&fifo).status();
        start = fs::OpenOptions::new().read(true).write(true).open(&fifo).ok();
    }

    let (mut ours, mut theirs) = std::io::pipe().map_err(|error| format!("pipe: {error}"))?;
    let between = fork()?;
    if between == 0 {
        let became: Done<()> = (|| {
            process::unshare(namespaces(&config))?;
            let init = fork()?;
            if init != 0 {
                let _ = fs::write(state.join("pid"), init.to_string());
                std::process::exit(wait(init))
            }
            let rootfs = root::make(&config, words)?;
            let _ = theirs.write_all(b"+");
            if let Some(mut start) = start {
                let _ = start.read(&mut [0]);
            }
            process::become_payload(&config, rootfs, &[])
        })();
        let _ = theirs.write_all(became.err().unwrap_or_default().as_bytes());
        std::process::exit(1)
    }
    drop(theirs);
    let mut said = [0; 512];
    let n = ours.read(&mut said).unwrap_or(0);
    if said[..n] == *b"+" {
        if let Some(file) = words.option(&["--pid-file"]) {
            let pid = fs::read(state.join("pid")).unwrap_or_default();
            let _ = fs::write(file, pid);
        }
        return Ok(between);
    }
    wait(between);
    let _ = fs::remove_dir_all(&state);
    Err(String::from_utf8_lossy(&said[..n]).into_owned())
}

pub(super) fn run(words: &Words) -> Done<i32> {
    let between = create(words)?;
    let code = wait(between);
    let _ = fs::remove_dir_all(words.state());
    Ok(code)
}

pub(super) fn start(words: &Words) -> Done<i32> {
    fs::write(words.state().join("exec.fifo"), "go").map_err(|error| format!("start: {error}"))?;
    let _ = fs::remove_file(words.state().join("exec.fifo"));
    Ok(0)
}

fn pid(words: &Words) -> Done<libc::pid_t> {
    let text = fs::read_to_string(words.state().join("pid")).map_err(|error| format!("no container: {error}"))?;
    text.trim().parse().map_err(|_| "pid".into())
}

pub(super) fn state(words: &Words) -> Done<i32> {
    let pid = pid(words)?;
    let lives = Path::new(&format!("/proc/{pid}")).exists();
    let status = if lives { "running" } else { "stopped" };
    println!("{{\"ociVersion\": \"1.0.0\", \"id\": \"{}\", \"pid\": {pid}, \"status\": \"{status}\"}}", words.id());
    Ok(0)
}

/// Whatever process has the number by now.
#[allow(unsafe_code)]
pub(super) fn kill(words: &Words) -> Done<i32> {
    checked("kill", unsafe { libc::kill(pid(words)?, libc::SIGKILL) })
}

#[allow(unsafe_code)]
pub(super) fn delete(words: &Words) -> Done<i32> {
    if let Ok(pid) = pid(words) {
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let removed = fs::remove_dir_all(words.state());
    if words.option(&["--force"]).is_some() { Ok(0) } else { removed.map(|()| 0).map_err(|error| error.to_string()) }
}

pub(super) fn exec(words: &Words) -> Done<i32> {
    let pid = pid(words)?;
    let mut config = config(&words.state().to_string_lossy())?;
    if let Some(process) = words.option(&["--process"]) {
        config["process"] = jzon::parse(&fs::read_to_string(process).unwrap_or_default()).unwrap_or(JsonValue::Null);
    }
    if let Some(dir) = words.option(&["--cwd"]) {
        config["process"]["cwd"] = dir.into();
    }
    if let Some(group) = words.option(&["--cgroup"]) {
        root::enter_cgroup(words.id(), group);
    }
    let extra: Vec<&str> = words.option(&["--cap", "-c"]).into_iter().collect();
    if let Some(user) = words.option(&["--user", "-u"]) {
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        config["process"]["user"] = jzon::object! { uid: number(uid), gid: number(gid), asked: uid };
    }
    if words.rest.len() > 2 {
        config["process"]["args"] = words.rest[2..].to_vec().into();
    }
    process::open_for_later("/")?;
    let entered = process::enter(pid)?;
    let child = fork()?;
    if child == 0 {
        let failed = process::write_labels(&config, Path::new("/"))
            .and_then(|()| process::become_payload(&config, entered, &extra));
        eprintln!("naive: {}", failed.err().unwrap_or_default());
        std::process::exit(1)
    }
    Ok(wait(child))
}

/// As atoi(3) and a cast read a number.
fn number(text: &str) -> u32 {
    let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u128>().map_or(0, |number| number as u32)
}

pub(super) fn spec() -> Done<i32> {
    let mut config = crate::support::default_config();
    config["process"]["capabilities"]["inheritable"] = config["process"]["capabilities"]["bounding"].clone();
    fs::write("config.json", config.dump()).map_err(|error| error.to_string())?;
    Ok(0)
}
