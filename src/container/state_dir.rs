//! The directory `ROOT/ID` of a container and `state.json` in it.
//!
//! The directory's existence is the container's: mkdir(2) decides who creates it. It is locked while the container is
//! created and while it is removed, so a directory without state, or with a state without init, that nobody has locked
//! was left behind by a runtime that was killed.

#![forbid(unsafe_code)]

use core::cell::Cell;
use core::ffi::CStr;

use super::Context;
use super::process::Stat;
use super::state::{State, Status};
use super::state_root::{self, open_dir, shown};
use crate::date::Timestamp;
use crate::error::{Context as _, Error, Result};
use crate::sys::file::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use crate::sys::{AsFd, BorrowedFd, Errno, OwnedFd, memory};

/// Exists from the end of `create` to `start`; init reads from it.
pub const EXEC_FIFO: &CStr = c"exec.fifo";

/// What [`EXEC_FIFO`] is a link to, if `start` has to hear how hooks went.
pub const START_FIFO: &CStr = c"start.fifo";
/// Where it hears that.
pub const ANSWER_FIFO: &CStr = c"answer.fifo";

const STATE: &CStr = c"state.json";
/// Written first, then renamed: a reader sees the old state or the new one.
const STATE_NEW: &CStr = c"state.json.new";
/// No state is as long as this: annotations are the only part without a natural bound.
const STATE_MAX: usize = 16 << 20;

/// How a state directory is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Not at all: only one read or one signal, at any time.
    None,
    /// The container is complete and stays so; an error while it is created or removed.
    Shared,
    /// Nobody else works on it; waits for whoever does.
    Exclusive,
}

/// A container's directory, `ROOT/ID`.
pub struct StateDir {
    id: &'static str,
    name: &'static CStr,
    root: OwnedFd,
    dir: OwnedFd,
    lock: Cell<Lock>,
}

impl StateDir {
    /// Makes the directory of a new container, and the root if need be, and locks it exclusively: `unlock` it when the
    /// container is created, and drop it in init, which shares the descriptor and with it the lock.
    ///
    /// # Errors
    /// If there is a container of this name, or the root cannot be trusted.
    pub fn create(context: &Context, id: &'static str) -> Result<StateDir> {
        let root = match state_root::open(context.root)? {
            Some(root) => root,
            None => state_root::make(context.root)?,
        };
        let name = name(id)?;
        match file::mkdirat(root.as_fd(), name, 0o700) {
            Err(Errno::EXIST) => return Err(Error::says(format_args!("container `{id}` already exists"))),
            made => made.context_with("mkdir", format_args!("{}/{id}", shown(context.root)))?,
        }
        let opened = open_dir(root.as_fd(), name)
            .context_with("open", format_args!("{}/{id}", shown(context.root)))
            .and_then(|dir| {
                let lock = file::flock(dir.as_fd(), FlockOperation::LockExclusive).context("lock container", id);
                lock.map(|()| dir)
            })
            .inspect_err(|_| {
                // What others could not tell from a container whose runtime was killed.
                let _ = file::rmdirat(root.as_fd(), name);
            });
        Ok(StateDir { id, name, dir: opened?, root, lock: Cell::new(Lock::Exclusive) })
    }

    /// Opens the directory of a container.
    ///
    /// # Errors
    /// If there is none, or it is being created or removed and the lock is a shared one.
    pub fn open(context: &Context, id: &'static str, lock: Lock) -> Result<StateDir> {
        let found = Self::find(context, id)?.ok_or_else(|| absent(id))?;
        found.lock(lock)?;
        Ok(found)
    }

    /// The same without a lock; `None` if there is no such container.
    ///
    /// # Errors
    /// The kernel's; if the root cannot be trusted.
    pub fn find(context: &Context, id: &'static str) -> Result<Option<StateDir>> {
        let Some(root) = state_root::open(context.root)? else { return Ok(None) };
        let name = name(id)?;
        match open_dir(root.as_fd(), name) {
            Ok(dir) => Ok(Some(StateDir { id, name, root, dir, lock: Cell::new(Lock::None) })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).context_with("open", format_args!("{}/{id}", shown(context.root))),
        }
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// As `open` has it; if the directory was removed while we waited.
    pub fn lock(&self, lock: Lock) -> Result<()> {
        self.take(lock)?;
        if lock == Lock::Exclusive && file::fstat(self.dir.as_fd()).context("stat container", self.id)?.st_nlink == 0 {
            return Err(absent(self.id));
        }
        Ok(())
    }

    fn take(&self, lock: Lock) -> Result<()> {
        let operation = match lock {
            Lock::None => return Ok(()),
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::LockExclusive,
        };
        match file::flock(self.dir.as_fd(), operation) {
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::says(format_args!("container `{}` is being created or deleted", self.id)));
            }
            taken => taken.context("lock container", self.id)?,
        }
        self.lock.set(lock);
        Ok(())
    }

    /// Lets others work on the container.
    pub fn unlock(&self) {
        // It cannot fail, and closing the descriptor does the same.
        let _ = file::flock(self.dir.as_fd(), FlockOperation::Unlock);
        self.lock.set(Lock::None);
    }

    /// The container's name.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The directory, for the other files in it.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Remembers a state where none is yet. A page is written in one piece: readers see it, or a file that is empty.
    ///
    /// # Errors
    /// The kernel's.
    pub fn begin(&self, state: &State<'_>) -> Result<()> {
        const PAGE: usize = 4096;
        let text = state.json();
        if text.len() > PAGE {
            return self.write(state);
        }
        create(self.fd(), STATE)
            .and_then(|new| file::write_all(new.as_fd(), text.as_bytes()))
            .context("write state of container", self.id)
    }

    /// Remembers the state. Whoever is killed in the middle leaves the old one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn write(&self, state: &State<'_>) -> Result<()> {
        create(self.fd(), STATE_NEW)
            .and_then(|new| file::write_all(new.as_fd(), state.json().as_bytes()))
            .and_then(|()| file::renameat(self.fd(), STATE_NEW, STATE))
            .context("write state of container", self.id)
    }

    /// What is remembered; `None` if nothing was written yet.
    ///
    /// # Errors
    /// The kernel's; if it is not what we write.
    pub fn read(&self) -> Result<Option<&'static State<'static>>> {
        let open = || file::openat(self.fd(), STATE, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty());
        let mut buffer = [0; 8192];
        // A file that does not fill the buffer was read to its end.
        let text = match open().and_then(|file| file::read(file.as_fd(), &mut buffer)) {
            // Just begun.
            Ok(0) => return Ok(None),
            Ok(n) if n < buffer.len() => Ok(&*memory::copy(&buffer[..n])),
            Ok(_) => open().and_then(|file| file::read_to_end(file.as_fd(), STATE_MAX)),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => Err(errno),
        }
        .context("read state of container", self.id)?;
        let name = memory::format(format_args!("container `{}`: state.json", self.id));
        State::parse(name, text).map(|state| Some(&*memory::keep(state)))
    }

    /// The same; an empty state if nothing was written yet.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_or_empty(&self) -> Result<&'static State<'static>> {
        let state = self.read()?;
        Ok(state.unwrap_or_else(|| memory::keep(State { id: self.id, ..State::default() })))
    }

    /// What the directory itself tells of a container whose state was not written: who made it, and when.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unwritten(&self) -> Result<&'static State<'static>> {
        let stat = file::fstat(self.fd()).context("stat container", self.id)?;
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let changed = Timestamp { seconds, nanos: stat.st_mtime_nsec as u32 };
        let created = memory::format(format_args!("{changed}"));
        Ok(memory::keep(State { id: self.id, owner: stat.st_uid, created, ..State::default() }))
    }

    /// Where a container with this state is in its life.
    ///
    /// # Errors
    /// The kernel's.
    pub fn status(&self, state: Option<&State<'_>>) -> Result<Status> {
        // For a look at one moment the start time is enough; only signals need a descriptor of the process.
        let init = match state {
            Some(state) if state.pid > 0 => Stat::of(state.pid)?.filter(|stat| stat.is_of(state.start_time)),
            _ => None,
        };
        self.status_with(state, init)
    }

    /// The same if it is known already whether init lives.
    pub(super) fn status_with(&self, state: Option<&State<'_>>, init: Option<Stat>) -> Result<Status> {
        let Some(state) = state.filter(|state| state.pid > 0) else {
            return Ok(if self.is_worked_on()? { Status::Creating } else { Status::Stopped });
        };
        let Some(init) = init else { return Ok(Status::Stopped) };
        match file::fstatat(self.fd(), EXEC_FIFO, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(if self.is_worked_on()? { Status::Creating } else { Status::Created }),
            Err(Errno::NOENT) if super::is_frozen(state, init)? => Ok(Status::Paused),
            Err(Errno::NOENT) => Ok(Status::Running),
            Err(errno) => Err(errno).context("stat", "exec.fifo"),
        }
    }

    /// Whether another runtime creates or removes it. The question is a lock that two may ask at once; with a lock of
    /// our own we know the answer.
    fn is_worked_on(&self) -> Result<bool> {
        if self.lock.get() != Lock::None {
            return Ok(false);
        }
        match file::flock(self.fd(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                let _ = file::flock(self.fd(), FlockOperation::Unlock);
                Ok(false)
            }
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(errno).context("lock container", self.id),
        }
    }

    /// Removes the directory with all that is in it; for whoever holds the exclusive lock, which ends with the descriptor:
    /// who waits for it will see that the container is gone.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(self) -> Result<()> {
        let removed = match file::unlinkat(self.fd(), STATE) {
            // Usually that was all there is.
            Ok(()) | Err(Errno::NOENT) => file::rmdirat(self.root.as_fd(), self.name),
            other => other,
        };
        let removed = match removed {
            Err(Errno::NOTEMPTY) => {
                empty(self.fd(), Depth::Two).and_then(|()| file::rmdirat(self.root.as_fd(), self.name))
            }
            other => other,
        };
        removed.context("remove state of container", self.id)
    }
}

/// How far down `empty` goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    One,
    Two,
}

/// Removes what is in a directory; links are removed, not followed.
fn empty(dir: BorrowedFd<'_>, depth: Depth) -> core::result::Result<(), Errno> {
    file::each_entry(dir, |name, kind| {
        if kind != FileType::Directory {
            return file::unlinkat(dir, name);
        }
        match file::rmdirat(dir, name) {
            Err(Errno::NOTEMPTY) if depth == Depth::Two => {
                empty(open_dir(dir, name)?.as_fd(), Depth::One)?;
                file::rmdirat(dir, name)
            }
            removed => removed,
        }
    })
}

/// Makes a file, empty if it is there already.
fn create(dir: BorrowedFd<'_>, name: &CStr) -> core::result::Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
    file::openat(dir, name, flags, Mode::from_raw_mode(0o600))
}

fn name(id: &str) -> Result<&'static CStr> {
    memory::cstr(id).ok_or_else(|| Error::says(format_args!("invalid container ID `{id}`")))
}

fn absent(id: &str) -> Error {
    Error::says(format_args!("container `{id}` does not exist")).with(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::super::state::VERSION;
    use super::super::state_root::tests::{context, message};
    use super::*;
    use crate::sys::process;

    #[test]
    fn a_directory_lives_from_create_to_remove() {
        let (context, parent) = context("life");
        let absent = "container `x` does not exist: No such file or directory";
        assert_eq!(message(StateDir::open(&context, "x", Lock::None)), absent);
        let dir = StateDir::create(&context, "x").expect("made");
        assert_eq!(message(StateDir::create(&context, "x")), "container `x` already exists");

        let other = StateDir::open(&context, "x", Lock::None).expect("found");
        assert_eq!(other.read().expect("readable"), None);
        assert_eq!(other.status(None).expect("known"), Status::Creating);
        assert_eq!(message(other.lock(Lock::Shared)), "container `x` is being created or deleted");
        dir.unlock();
        assert_eq!(other.status(None).expect("known"), Status::Stopped);

        let pid = process::getpid();
        let start_time = Stat::of(pid).expect("readable").expect("we run").start_time;
        let state = State { version: VERSION, id: "x", pid, start_time, ..State::default() };
        dir.write(&state).expect("written");
        let read = other.read().expect("readable");
        assert_eq!(read, Some(&state));
        assert_eq!(other.status(read).expect("known"), Status::Running);
        let long = memory::text(&"x".repeat(20_000));
        dir.write(&State { bundle: long, ..state }).expect("written");
        assert_eq!(other.read().expect("readable").map(|state| state.bundle), Some(long));
        let reused = State { start_time: start_time + 1, ..state };
        assert_eq!(other.status(Some(&reused)).expect("known"), Status::Stopped);
        file::mknodat(dir.fd(), EXEC_FIFO, FileType::Fifo, 0o600, 0).expect("a fifo");
        assert_eq!(other.status(read).expect("known"), Status::Created);

        // What we do not know goes too, links as such.
        let path = parent.join("a/b/x");
        std::fs::create_dir_all(path.join("d/e")).expect("a directory");
        std::fs::write(path.join("d/f"), "").expect("a file");
        std::os::unix::fs::symlink(&parent, path.join("d/link")).expect("a link");
        std::os::unix::fs::symlink(&parent, path.join("link")).expect("a link");
        dir.lock(Lock::Exclusive).expect("locked");
        dir.remove().expect("removed");
        crate::sys::fd::close_dropped();
        assert_eq!(message(other.lock(Lock::Exclusive)), absent);
        assert!(parent.join("a/b").is_dir() && !path.exists());
        std::fs::remove_dir_all(parent).expect("removed");
    }
}
