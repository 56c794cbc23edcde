//! An ordinary user, made for one run of the tests.

use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::host::read;

/// Who has no privileges.
#[derive(Debug)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// The first of the ids that `/etc/subuid` gives him, and how many there are.
    pub subuid: Option<(u32, u32)>,
}

static USER: OnceLock<Result<User, String>> = OnceLock::new();

/// The user, made when he is asked for first.
pub(super) fn user() -> Result<&'static User, String> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    USER.get_or_init(make).as_ref().map_err(Clone::clone)
}

fn make() -> Result<User, String> {
    let name = format!("isopod-{}", std::process::id());
    let mut made = Command::new("useradd");
    made.args(["--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", &name]);
    let made = made.output().map_err(|error| format!("useradd: {error}"))?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).trim().to_owned());
    }
    let fields = |file: &str| -> Option<[u32; 2]> {
        let text = read(file);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?.to_owned();
        let mut numbers = line.split(':').filter_map(|field| field.parse().ok());
        Some([numbers.next()?, numbers.next()?])
    };
    let [uid, gid] = fields("/etc/passwd").ok_or("useradd has made no user")?;
    let subuid = fields("/etc/subuid").filter(|_| fields("/etc/subgid").is_some()).map(|[first, count]| (first, count));
    Ok(User { name, uid, gid, subuid })
}

/// Takes him away again.
pub(super) fn remove() {
    if let Some(Ok(user)) = USER.get() {
        let _ = Command::new("userdel").arg(&user.name).output();
    }
}
