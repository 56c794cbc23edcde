//! Labels of security modules, which a process can only ask for itself: files in its `/proc/self/attr`. They are opened
//! in the host's procfs, before anything of a container is in sight (CVE-2019-16884, CVE-2015-1334).

use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::plan::label::Labels;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::{AsFd, CWD, OwnedFd, memory, shown};

/// The files for the labels that there are.
#[derive(Default)]
pub(super) struct Files {
    apparmor: Option<(OwnedFd, &'static CStr)>,
    exec: Option<(OwnedFd, &'static CStr)>,
    keyring: Option<(OwnedFd, &'static CStr)>,
}

impl Files {
    pub(super) fn open(labels: &Labels<'_>) -> Result<Files> {
        let mut files = Files::default();
        if labels.apparmor.is_some() {
            // Before Linux 5.8 there is one file for all modules.
            files.apparmor = Some(match open(c"/proc/self/attr/apparmor/exec") {
                Err(error) if error.is(Errno::NOENT) => open(c"/proc/self/attr/exec")?,
                file => file?,
            });
        }
        if labels.selinux.is_some() {
            files.exec = Some(open(c"/proc/self/attr/exec")?);
            files.keyring = Some(open(c"/proc/self/attr/keycreate")?);
        }
        Ok(files)
    }

    /// What the program is executed under.
    pub(super) fn set(&self, labels: &Labels<'_>) -> Result<()> {
        write(&self.apparmor, labels.apparmor).map_err(|error| match error.is(Errno::NOENT) {
            true => error.hint("no profile of that name is loaded"),
            false => error,
        })?;
        write(&self.exec, labels.selinux).map_err(unknown)
    }

    /// What keys that are made meanwhile belong to.
    pub(super) fn around_keyring(&self, labels: &Labels<'_>, make: impl FnOnce() -> Result<()>) -> Result<()> {
        write(&self.keyring, labels.selinux).map_err(unknown)?;
        make()?;
        write(&self.keyring, labels.selinux.map(|_| c""))
    }
}

#[cold]
fn unknown(error: Error) -> Error {
    if error.is(Errno::INVAL) { error.hint("the policy of SELinux has no such label") } else { error }
}

fn open(path: &'static CStr) -> Result<(OwnedFd, &'static CStr)> {
    let file = file::openat(CWD, path, OFlags::WRONLY, Mode::empty());
    file.map(|file| (file, path)).context("open", shown(path))
}

fn write(file: &Option<(OwnedFd, &'static CStr)>, label: Option<&CStr>) -> Result<()> {
    let (Some((file, path)), Some(label)) = (file, label) else { return Ok(()) };
    let (path, text) = (shown(path), shown(label));
    match file::write(file.as_fd(), label.to_bytes()) {
        Ok(_) => Ok(()),
        Err(errno) => Err(Error::errno("write", memory::format(format_args!("`{text}` to {path}")), errno)),
    }
}
