//! The container's file system: performs the plan's mounts, devices, masks and the change of root, on descriptors. It
//! runs in init, in the new mount namespace; only the sources, which nobody but the caller may be able to open, are
//! opened beforehand by the runtime.
//!
//! Nothing here follows a path of the rootfs by itself: `sys::root` resolves it once, then the descriptor is used.

#![forbid(unsafe_code)]

mod cgroup;
mod copy;
mod device;
mod idmap;
mod mask;
mod mount;
mod pivot;

use core::cell::Cell;
use core::ffi::CStr;

use crate::error::{Context, Errno, Error, Result};
use crate::plan::mount::{Link, Mount, Mounts, Role, What};
use crate::plan::{Path, Plan};
use crate::sys::fd::FdList;
use crate::sys::file::{self, FileType, Mode, OFlags};
use crate::sys::mount::{
    MountAttr, attr, mount_setattr, mount_setattr_at, move_mount, move_mount_to, namespace_is_ours, open_tree_attr,
    open_tree_clone, open_tree_clone_nofollow, propagation, umount_detach, umount_detach_cwd,
};
use crate::sys::namespace::kind;
use crate::sys::root::{Make, Root};
use crate::sys::{AsFd, BorrowedFd, CWD, OwnedFd, memory, process, shown};

pub use cgroup::Hierarchy;

/// What the runtime opens before the clone, with its own rights and in the host's mount namespace.
pub struct Sources {
    /// The rootfs, as a detached tree.
    root: OwnedFd,
    /// Whether it is cut off from the host already.
    is_cut: bool,
    binds: Binds,
}

/// What mounts are made of that is opened beforehand.
#[derive(Default)]
pub struct Binds {
    /// By place in the list of mounts: a detached tree for each bind mount.
    trees: FdList,
    /// User namespaces for ids, by place in their list.
    ids: FdList,
    /// How many descriptors we might have (soft, hard), if we had to allow ourselves more: it is not the container's.
    files: Option<(u64, u64)>,
}

/// RLIMIT_NOFILE.
const NOFILE: u32 = 7;

impl Sources {
    /// Opens them; relative paths are the bundle's.
    ///
    /// # Errors
    /// A source that does not exist or cannot be opened.
    pub fn open(plan: &Plan<'_>, bundle: BorrowedFd<'_>) -> Result<Sources> {
        let (root, is_cut) = open_root(plan, bundle)?;
        Ok(Sources { root, is_cut, binds: Binds::open(&plan.mounts, bundle)? })
    }

    /// In init, in a new mount namespace that is of a user namespace: takes in place of these whatever it can open there
    /// itself, from the bundle. Of that the kernel locks what the host has mounted or restricted (mount_namespaces(7)).
    /// As it was opened by the runtime remains what only that may open, what has other ids, what the config wants to be
    /// free of a restriction, and before Linux 5.12 what is to have the mounts that the host makes there later.
    ///
    /// # Errors
    /// Those that have nothing to do with rights.
    pub fn lock(&mut self, plan: &Plan<'_>) -> Result<()> {
        // Before Linux 5.12 a tree is attached to be changed. That is no harm, since the host gets no mount of a less
        // privileged namespace; but it will be cut off from the host with all else that is attached.
        let attaches = mount_setattr(self.root.as_fd(), false, &MountAttr::default()).is_err();
        namespace_is_ours();
        let is_ours = |mount: &Mount<'_>| mount.idmap.is_none() && !(attaches && mount.hears_of_the_host());
        if let Some((root, is_cut)) = unless_refused(open_root(plan, CWD))? {
            core::mem::replace(&mut self.root, root).close();
            self.is_cut = is_cut;
        }
        for (place, mount) in plan.mounts.steps.iter().enumerate().filter(|(_, mount)| is_ours(mount)) {
            if let Some(tree) = unless_refused(open_bind(mount, CWD))?.flatten()
                && mount::change(mount, tree.as_fd()).is_ok()
            {
                self.binds.trees.replace(place, tree);
            }
        }
        Ok(())
    }
}

/// The rootfs, and whether it is cut off from the host already.
fn open_root(plan: &Plan<'_>, directory: BorrowedFd<'_>) -> Result<(OwnedFd, bool)> {
    let path = plan.root.path;
    let (root, is_cut) = match open_tree_attr(directory, path, true, &cut(plan)) {
        Ok(root) => (Ok(root), true),
        Err(_) => (open_tree_clone(directory, path, true), false),
    };
    Ok((root.map_err(|errno| open_failed(shown(path), errno))?, is_cut))
}

/// The source of a bind mount; none for any other.
fn open_bind(mount: &Mount<'_>, directory: BorrowedFd<'_>) -> Result<Option<OwnedFd>> {
    let What::Bind { source, recursive, link } = mount.what else { return Ok(None) };
    let open = if link == Link::Follow { open_tree_clone } else { open_tree_clone_nofollow };
    open(directory, source, recursive)
        .map(Some)
        .context_with("open the source of", format_args!("mounts[{}], {}", mount.index, shown(source)))
}

/// None if it is not for us to open: not ours to see, not of our mount namespace, or locked together with what is mounted
/// below it.
fn unless_refused<T>(opened: Result<T>) -> Result<Option<T>> {
    match opened {
        Err(error) => match error.errno_of() {
            Some(Errno::ACCESS | Errno::PERM | Errno::INVAL | Errno::NOENT) => Ok(None),
            _ => Err(error),
        },
        Ok(opened) => Ok(Some(opened)),
    }
}

/// What we mount must never reach the host; what the host mounts reaches us only if the config wants that.
fn cut(plan: &Plan<'_>) -> MountAttr {
    let propagation = match plan.root.propagation.kind {
        propagation::SLAVE => propagation::SLAVE,
        _ => propagation::PRIVATE,
    };
    MountAttr { propagation, ..MountAttr::default() }
}

impl Binds {
    /// Opens them; relative paths are below the directory.
    ///
    /// # Errors
    /// A source that does not exist or cannot be opened, or whose ids cannot be others.
    pub fn open(mounts: &Mounts<'_>, directory: BorrowedFd<'_>) -> Result<Binds> {
        let ids = idmap::open(mounts.idmaps)?;
        let mut trees = FdList::default();
        let mut files = None;
        for mount in mounts.steps {
            let tree = match open_bind(mount, directory) {
                Err(error) if error.is(Errno::MFILE) && files.is_none() => {
                    files = Some(raise_files().context("raise the limit of", "descriptors")?);
                    open_bind(mount, directory)
                }
                tree => tree,
            }?;
            if let Some(tree) = &tree {
                // With our rights over the host's file systems, which init may not have.
                idmap::apply(mount, &ids, tree.as_fd())?;
            }
            trees.push(tree);
        }
        Ok(Binds { trees, ids, files })
    }
}

/// As many descriptors as the hard limit allows; what it was before.
fn raise_files() -> Result<(u64, u64), Errno> {
    let before = process::getrlimit(NOFILE)?;
    process::setrlimit(NOFILE, before.1, before.1)?;
    Ok(before)
}

#[cold]
fn open_failed(path: &str, errno: Errno) -> Error {
    if errno == Errno::NOENT {
        return Error::because("the rootfs path", memory::format(format_args!("`{path}`")), "does not exist")
            .with(errno);
    }
    let error = Error::errno("open the rootfs", path, errno);
    if errno == Errno::PERM { error.hint("it takes CAP_SYS_ADMIN: without root nothing can be run yet") } else { error }
}

/// Where the root's own path leads, in the new mount namespace.
///
/// # Errors
/// The kernel's.
pub fn own_place(plan: &Plan<'_>, bundle: &CStr) -> Result<OwnedFd> {
    let path = plan.root.path;
    file::open_dir(CWD, bundle)
        .and_then(|bundle| file::open_dir(bundle.as_fd(), path))
        .context("open for hooks the rootfs", shown(path))
}

/// The file system while it is made, seen from the new mount namespace.
pub struct Rootfs<'a> {
    plan: &'a Plan<'a>,
    ground: Ground,
    /// Whether it is attached where its path leads, not over `/`.
    in_its_place: bool,
    /// A procfs that is mounted nowhere, where the container's own cannot be used.
    private_proc: Option<OwnedFd>,
    /// Whether `/dev` is somebody else's directory, where nothing must be made.
    foreign_dev: bool,
    /// Whether it became our root.
    entered: Cell<bool>,
}

impl Drop for Rootfs<'_> {
    /// A mount namespace of our own ends with us, with all that is in it. One that was joined goes on.
    fn drop(&mut self) {
        if !self.entered.get() && self.plan.namespaces.joins(kind::MOUNT) {
            detach(self.root_fd());
        }
    }
}

/// What mounts are made on.
struct Ground {
    /// Where paths are resolved.
    root: OwnedFd,
    binds: Binds,
    /// `/dev`, `/proc` and `/sys`, if they are file systems that we have made: nothing of an image can lie in wait there.
    dev: Option<OwnedFd>,
    proc: Option<OwnedFd>,
    sys: Option<OwnedFd>,
    /// Whether `dev` is the current directory.
    in_dev: Cell<bool>,
    /// Whether something was attached where a path of the image led, or in those two: a name in our `/proc` or `/sys` may
    /// not be the kernel's any more.
    strayed: Cell<bool>,
    /// What becomes read-only at the end.
    readonly: FdList,
}

/// Where something is attached.
enum Place<'r> {
    /// On what a path led to.
    At(OwnedFd),
    /// On a name in a directory of ours.
    In(BorrowedFd<'r>, &'static CStr),
}

impl Place<'_> {
    fn attach(&self, tree: BorrowedFd<'_>) -> Result<(), Errno> {
        match self {
            Place::At(target) => move_mount(tree, target.as_fd()),
            Place::In(directory, name) => move_mount_to(tree, *directory, name),
        }
    }
}

impl<'a> Rootfs<'a> {
    /// Cuts the new mount namespace off from the host's and attaches the container's root in it: over `/`, or until
    /// `enter` in the place of its own that hooks look for it in.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attach(plan: &'a Plan<'a>, sources: Sources, place: Option<OwnedFd>) -> Result<Rootfs<'a>> {
        let cut = cut(plan);
        if plan.namespaces.new & kind::MOUNT != 0 {
            namespace_is_ours();
        }
        mount_setattr_at(CWD, c"/", true, &cut).context("mount_setattr", "/")?;
        // On top of the namespace's root: no path to the rootfs has to be followed again, and paths of the host still
        // work, for they start at our root directory, which is below.
        match &place {
            None => move_mount_to(sources.root.as_fd(), CWD, c"/"),
            Some(place) => move_mount(sources.root.as_fd(), place.as_fd()),
        }
        .context("move_mount", "the rootfs")?;
        if !sources.is_cut {
            mount_setattr(sources.root.as_fd(), true, &cut).context("mount_setattr", "the rootfs")?;
        }
        let ground = Ground::new(sources.root, sources.binds);
        // In a namespace of others anybody may mount something.
        ground.strayed.set(plan.namespaces.new & kind::MOUNT == 0);
        Ok(Rootfs {
            plan,
            ground,
            in_its_place: place.is_some(),
            private_proc: None,
            foreign_dev: false,
            entered: Cell::new(false),
        })
    }

    /// Takes back what `Sources::open` may have had to allow itself.
    ///
    /// # Errors
    /// The kernel's.
    pub fn restore_limits(&self) -> Result<()> {
        let Some((soft, hard)) = self.ground.binds.files else { return Ok(()) };
        process::setrlimit(NOFILE, soft, hard).context("setrlimit", "RLIMIT_NOFILE")
    }

    /// The root directory, which every path is resolved in.
    #[must_use]
    pub fn root(&self) -> Root<'_> {
        self.ground.root()
    }

    fn root_fd(&self) -> BorrowedFd<'_> {
        self.ground.root.as_fd()
    }

    /// Performs the plan's mounts in their order; `hierarchies` tells what a cgroup mount is made of, when one comes.
    ///
    /// # Errors
    /// The kernel's, with the mount's place and destination.
    pub fn mount_all<'h>(&mut self, mut hierarchies: impl FnMut() -> Result<&'h [Hierarchy<'h>]>) -> Result<()> {
        for mount in self.plan.mounts.steps {
            if mount.copy_up {
                // What is copied is charged to the container.
                hierarchies()?;
            }
            let tree = match mount.what {
                What::Cgroup => self.mount_cgroups(mount, hierarchies()?).map(|()| None)?,
                _ => self.ground.mount(mount)?,
            };
            let ours = matches!(mount.what, What::Filesystem { .. });
            match mount.role {
                Role::Root => {
                    // Everything before is below it now.
                    (self.ground.dev, self.ground.proc, self.ground.sys) = (None, None, None);
                    self.foreign_dev = false;
                    if let Some(tree) = tree {
                        self.ground.root = tree;
                    }
                }
                Role::Dev => {
                    // There is but one devtmpfs, the host's.
                    self.foreign_dev = matches!(mount.what, What::Bind { .. }) || is_of(mount, c"devtmpfs");
                    self.ground.dev = tree.filter(|_| ours && !mount.copy_up && !self.foreign_dev);
                    self.ground.in_dev.set(false);
                }
                Role::Proc => self.ground.proc = tree.filter(|_| ours),
                Role::Sys => self.ground.sys = tree.filter(|_| is_of(mount, c"sysfs")),
                Role::Other => {}
            }
        }
        Ok(())
    }

    /// The kernel's own files: the procfs that was mounted for the container, if we may write there, or a private one.
    ///
    /// # Errors
    /// EPERM where a user namespace may not mount one.
    pub fn procfs(&mut self) -> Result<BorrowedFd<'_>> {
        let readonly = |mount: &Mount<'_>| mount.role == Role::Proc && mount.attr & attr::RDONLY != 0;
        let unusable = self.ground.proc.is_none() || self.plan.mounts.steps.iter().any(readonly);
        if unusable && self.private_proc.is_none() {
            self.private_proc = Some(mount::private_procfs()?);
        }
        let proc = if unusable { &self.private_proc } else { &self.ground.proc };
        proc.as_ref().map(AsFd::as_fd).ok_or_else(|| Error::because("open", "procfs", "is not there"))
    }

    /// Makes a directory of the container if it is missing; that it cannot be made shows when it is used.
    pub fn make_directory(&self, path: &CStr) {
        if path != c"/" {
            let _ = self.root().resolve_or_make(path, Make::Directory);
        }
    }

    /// Puts the container's terminal on `/dev/console`, by descriptor: no name in its `/dev/pts` is trusted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn mount_console(&self, terminal: BorrowedFd<'_>) -> Result<()> {
        let tree = open_tree_clone(terminal, c"", false).context("open_tree", "the container's terminal")?;
        let path = Path { given: c"/dev/console", normal: "/dev/console" };
        let place = self.place(&path, Make::File)?;
        self.ground.attach(tree.as_fd(), &place, &path).context("move_mount", "/dev/console")
    }

    fn place(&self, path: &Path<'_>, make: Make) -> Result<Place<'_>> {
        self.ground.place(path, make)
    }
}

impl Ground {
    fn new(root: OwnedFd, binds: Binds) -> Ground {
        let (in_dev, strayed) = (Cell::new(false), Cell::new(false));
        Ground { root, binds, dev: None, proc: None, sys: None, in_dev, strayed, readonly: FdList::default() }
    }

    /// Makes one of any kind but the cgroups, which only init can find; its root, if it is at hand.
    fn mount(&mut self, mount: &Mount<'_>) -> Result<Option<OwnedFd>> {
        let tree = match mount.what {
            What::Bind { link, .. } => self.bind(mount, link)?,
            What::Remount { data } => {
                self.strayed.set(true);
                Some(self.remount(mount, data)?)
            }
            _ => self.filesystem(mount)?,
        };
        if let Some(tree) = &tree
            && mount.readonly_late
        {
            let copy = tree.try_clone().inspect_err(|_| detach(tree.as_fd()));
            self.readonly.push(Some(copy.context("dup", mount.destination.normal)?));
        }
        Ok(tree)
    }

    /// Until now mount points had to be made in them.
    fn make_readonly_late(&self) -> Result<()> {
        let readonly = MountAttr { attr_set: attr::RDONLY, ..MountAttr::default() };
        let make = |tree: BorrowedFd<'_>| {
            let made = mount_setattr(tree, false, &readonly);
            if made.is_err() {
                detach(tree);
            }
            made.context("make read-only", "a mount")
        };
        // All of them, whatever one of them says.
        let mut made = Ok(());
        for tree in self.readonly.iter() {
            made = made.and(make(tree));
        }
        made
    }

    fn root(&self) -> Root<'_> {
        Root::new(self.root.as_fd())
    }

    /// Whether it is the root directory itself.
    fn is_root(&self, target: BorrowedFd<'_>) -> Result<bool, Errno> {
        Ok(file::is_same(&file::fstat(self.root.as_fd())?, &file::fstat(target)?))
    }

    /// To the `/dev` of our making, if there is one: where `mount::at_once` works.
    fn go_to_dev(&self) -> Result<(), Errno> {
        match &self.dev {
            Some(dev) if !self.in_dev.replace(true) => process::fchdir(dev.as_fd()),
            _ => Ok(()),
        }
    }

    /// To another directory.
    fn leave_dev(&self, other: BorrowedFd<'_>) -> Result<(), Errno> {
        self.in_dev.set(false);
        process::fchdir(other)
    }

    /// A path that is a mere name in the `/dev`, `/proc` or `/sys` that we have made.
    fn in_ours(&self, path: &str) -> Option<(BorrowedFd<'_>, &'static CStr)> {
        let (top, name) = path.strip_prefix('/')?.split_once('/')?;
        let directory = match (top, name) {
            // These are links.
            ("proc", "self" | "thread-self" | "net" | "mounts") | (_, "" | "." | "..") => None,
            ("dev", _) => self.dev.as_ref(),
            ("proc", _) => self.proc.as_ref(),
            ("sys", _) => self.sys.as_ref(),
            _ => None,
        };
        if name.contains('/') { None } else { Some((directory?.as_fd(), memory::cstr(name)?)) }
    }

    /// Attaches a tree.
    fn attach(&self, tree: BorrowedFd<'_>, place: &Place<'_>, path: &Path<'_>) -> Result<(), Errno> {
        let in_kernels = path.normal.starts_with("/proc/") || path.normal.starts_with("/sys/");
        if in_kernels || matches!(place, Place::At(_)) {
            self.strayed.set(true);
        }
        place.attach(tree)
    }

    /// Where a mount or a file of ours goes, made if it is missing.
    fn place(&self, path: &Path<'_>, make: Make) -> Result<Place<'_>> {
        let place = match self.in_ours(path.normal) {
            Some((directory, name)) => make_in(directory, name, make).map(|_| Place::In(directory, name)),
            None => self.root().resolve_or_make(path.given, make).map(Place::At),
        };
        place.context("make the mount point", path.normal)
    }
}

/// The file system of a container that is made, seen from its mount namespace, where its root directory is ours.
pub struct Live(Ground);

impl Live {
    /// What is to be mounted there was opened before the namespace was joined.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(binds: Binds) -> Result<Live> {
        let root = file::open_dir(CWD, c"/").context("open", "the container's root")?;
        Ok(Live(Ground::new(root, binds)))
    }

    /// Makes mounts, in their order.
    ///
    /// # Errors
    /// The kernel's, with the mount's place and destination; those before it are there then, and as they were asked for.
    pub fn mount(&mut self, mounts: &[Mount<'_>]) -> Result<()> {
        let made = mounts.iter().try_for_each(|mount| self.0.mount(mount).map(drop));
        made.and(self.0.make_readonly_late())
    }

    /// Takes away what is mounted at these places, the last one first. umount2(2) takes only paths: the current directory
    /// is one that needs no name, and below one of ours a name is not followed.
    ///
    /// # Errors
    /// The kernel's, with the place in the list.
    pub fn unmount(&self, places: &[Path<'_>]) -> Result<()> {
        for (index, path) in places.iter().enumerate().rev() {
            self.unmount_one(path.given).map_err(|errno| {
                let error = Error::errno("umount2", memory::format(format_args!("[{index}], {}", path.normal)), errno);
                match errno {
                    Errno::INVAL => error.hint("nothing is mounted there"),
                    Errno::BUSY => error.hint("it is the container's root"),
                    _ => error,
                }
            })?;
        }
        Ok(())
    }

    fn unmount_one(&self, path: &CStr) -> Result<(), Errno> {
        let root = self.0.root();
        let target = root.resolve(path)?;
        if self.0.is_root(target.as_fd())? {
            return Err(Errno::BUSY);
        }
        let stat = file::fstat(target.as_fd())?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            process::fchdir(target.as_fd())?;
            return umount_detach_cwd();
        }
        let (parent, name) = root.parent_or_make(path)?.ok_or(Errno::INVAL)?;
        process::fchdir(parent.as_fd())?;
        umount_detach(name)
    }
}

/// Whether it is a new file system of this type.
fn is_of(mount: &Mount<'_>, kind: &CStr) -> bool {
    matches!(mount.what, What::Filesystem { fs, .. } if fs == kind)
}

/// Rather no mount than one that can be written to.
#[cold]
fn detach(tree: BorrowedFd<'_>) {
    let _ = process::fchdir(tree).and_then(|()| umount_detach_cwd());
}

/// A directory or an empty file in a directory of ours; false if something is there already.
fn make_in(directory: BorrowedFd<'_>, name: &CStr, make: Make) -> Result<bool, Errno> {
    let made = match make {
        Make::Directory => file::mkdirat(directory, name, 0o755),
        Make::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDONLY;
            file::openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(drop)
        }
    };
    match made {
        Err(Errno::EXIST) => Ok(false),
        made => made.map(|()| true),
    }
}
