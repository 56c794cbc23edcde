//! A mount of type `cgroup`: in the container, `/sys/fs/cgroup` looks like the host's layout, and shows the container
//! its own cgroups only.

use core::ffi::CStr;

use super::Rootfs;
use super::mount::failed;
use crate::error::{Errno, Error, Result};
use crate::plan::mount::Mount;
use crate::sys::mount::{
    FsContext, MountAttr, attr, bind_in_cwd, mount_in_cwd, mount_setattr, mount_setattr_at, open_tree_clone,
};
use crate::sys::namespace::kind;
use crate::sys::root::Make;
use crate::sys::{AsFd, CWD, OwnedFd, file, memory, shown};

/// One cgroup hierarchy of the host.
#[derive(Clone, Copy)]
pub struct Hierarchy<'a> {
    /// Its directory in `/sys/fs/cgroup`: `cpu,cpuacct`, `systemd`, `unified`; empty for v2 alone, which is mounted on
    /// `/sys/fs/cgroup` itself.
    pub name: &'a CStr,
    /// The container's cgroup in it, as a path of the host.
    pub path: &'a CStr,
    /// Links beside it, for the single controllers of one that has several.
    pub links: &'a [&'a CStr],
}

impl Rootfs<'_> {
    /// Makes it out of the hierarchies that the container is in.
    pub(super) fn mount_cgroups(&self, mount: &Mount<'_>, hierarchies: &[Hierarchy<'_>]) -> Result<()> {
        if let [only] = hierarchies
            && only.name.is_empty()
        {
            let place = self.place(&mount.destination, Make::Directory)?;
            let tree = self.unified(mount, only)?;
            return place.attach(tree.as_fd()).map_err(|errno| failed(mount, "move_mount", errno));
        }
        let wrong = |doing| move |errno| failed(mount, doing, errno);
        let tmpfs = match self.tmpfs_in_sys(mount) {
            Some(tmpfs) => tmpfs,
            None => self.tmpfs(mount)?,
        };
        // From here on everything lies in a directory that is ours alone: names in it are what we made them.
        let there = |name: &CStr| memory::joined(&[tmpfs, shown(name)]).unwrap_or(c"");
        for hierarchy in hierarchies {
            let place = there(hierarchy.name);
            file::mkdirat(CWD, place, 0o755).map_err(wrong("mkdir"))?;
            match bind_in_cwd(hierarchy.path, place) {
                Err(Errno::NOENT) => {
                    file::rmdirat(CWD, place).map_err(wrong("rmdir"))?;
                    continue;
                }
                bound => {
                    let path = shown(hierarchy.path);
                    bound.map_err(|errno| Error::errno("mount the cgroup", path, errno))?;
                }
            }
            for link in hierarchy.links {
                file::symlinkat(hierarchy.name, CWD, there(link)).map_err(wrong("symlink"))?;
            }
        }
        // All of it at once: nobody but us is in this namespace yet.
        let attr = MountAttr { attr_set: mount.attr & !attr::ATIME, ..MountAttr::default() };
        if attr.is_empty() {
            Ok(())
        } else {
            mount_setattr_at(CWD, there(c"."), !hierarchies.is_empty(), &attr).map_err(wrong("mount_setattr"))
        }
    }

    /// Makes a tmpfs for the hierarchies; where it is from what is the current directory now.
    fn tmpfs(&self, mount: &Mount<'_>) -> Result<&'static str> {
        let wrong = |doing| move |errno| failed(mount, doing, errno);
        let place = self.place(&mount.destination, Make::Directory)?;
        let tmpfs = || {
            let context = FsContext::open(c"tmpfs")?;
            context.set_string(c"mode", c"755")?;
            context.mount(mount.attr & !attr::RDONLY)
        };
        let tmpfs = tmpfs().map_err(wrong("fsmount"))?;
        self.ground.attach(tmpfs.as_fd(), &place, &mount.destination).map_err(wrong("move_mount"))?;
        self.ground.leave_dev(tmpfs.as_fd()).map(|()| "").map_err(wrong("fchdir"))
    }

    /// The same in fewer calls, in the place that a sysfs has for it: as long as there is nothing but the kernel's
    /// directories in ours, their names can be used. If it fails, the long way knows why.
    fn tmpfs_in_sys(&self, mount: &Mount<'_>) -> Option<&'static str> {
        let sys = self.ground.sys.as_ref().filter(|_| !self.ground.strayed.get() && !mount.nofollow)?;
        if mount.destination.given != c"/sys/fs/cgroup" {
            return None;
        }
        self.ground.leave_dev(sys.as_fd()).ok()?;
        let made = mount_in_cwd(c"none", c"fs/cgroup", c"tmpfs", mount.attr & !attr::RDONLY, c"mode=755");
        made.ok().map(|()| "fs/cgroup/")
    }

    /// Cgroup v2: its own file system where a cgroup namespace makes that the container's, else a bind of its cgroup.
    fn unified(&self, mount: &Mount<'_>, hierarchy: &Hierarchy<'_>) -> Result<OwnedFd> {
        if self.plan.namespaces.has(kind::CGROUP) {
            match FsContext::open(c"cgroup2").and_then(|context| context.mount(mount.attr)) {
                // A user namespace whose network or cgroups are the host's may not.
                Err(Errno::PERM | Errno::BUSY) => {}
                tree => return tree.map_err(|errno| failed(mount, "fsmount", errno)),
            }
        }
        let tree = open_tree_clone(CWD, hierarchy.path, false).map_err(|errno| failed(mount, "open_tree", errno))?;
        let attr = MountAttr { attr_set: mount.attr, ..MountAttr::default() };
        mount_setattr(tree.as_fd(), false, &attr).map_err(|errno| failed(mount, "mount_setattr", errno))?;
        Ok(tree)
    }
}
