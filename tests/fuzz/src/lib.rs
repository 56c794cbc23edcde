//! What the targets share. A target is a file of `targets`; what it asserts stands in its first lines.

use std::ffi::CStr;

use isopod::host::{Cgroups, Hierarchy};

#[path = "../../seccomp/bpf.rs"]
pub mod bpf;
#[path = "../../seccomp/meaning.rs"]
pub mod meaning;
#[path = "../../seccomp/profile.rs"]
pub mod profile;

/// Gives one input to `test` and takes back the memory.
pub fn with(test: impl FnOnce()) {
    test();
    // SAFETY: `test` gives nothing back, and isopod's pure parts remember nothing.
    unsafe { isopod::fuzz::give_back() };
}

/// What `test` says of the input as text, if it is one.
pub fn with_text(data: &[u8], test: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(data) {
        with(|| test(text));
    }
}

/// An error is a line, and says something.
pub fn good<T>(result: isopod::error::Result<T>) -> Option<T> {
    result.inspect_err(|error| assert!(!error.to_string().is_empty())).ok()
}

const fn hierarchy(mount: &'static CStr, controllers: &'static str) -> Hierarchy<'static> {
    Hierarchy { controllers, directory: c"", mount, own_path: "/", unified: controllers.is_empty() }
}

static V1: &[Hierarchy<'static>] = &[
    hierarchy(c"/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"),
    hierarchy(c"/sys/fs/cgroup/cpuset", "cpuset"),
    hierarchy(c"/sys/fs/cgroup/memory", "memory"),
    hierarchy(c"/sys/fs/cgroup/pids", "pids"),
    hierarchy(c"/sys/fs/cgroup/blkio", "blkio"),
    hierarchy(c"/sys/fs/cgroup/devices", "devices"),
    hierarchy(c"/sys/fs/cgroup/freezer", "freezer"),
    hierarchy(c"/sys/fs/cgroup/net_cls,net_prio", "net_cls,net_prio"),
    hierarchy(c"/sys/fs/cgroup/rdma", "rdma"),
    hierarchy(c"/sys/fs/cgroup/hugetlb", "hugetlb"),
    hierarchy(c"/sys/fs/cgroup/systemd", "name=systemd"),
    hierarchy(c"/sys/fs/cgroup/unified", ""),
];

static V2: Hierarchy<'static> =
    Hierarchy { unified: true, ..hierarchy(c"/sys/fs/cgroup", "cpuset cpu io memory hugetlb pids rdma misc") };

/// Hosts with version 2, version 1 and none.
pub static HOSTS: [Cgroups<'static>; 3] = [Cgroups::V2(&V2), Cgroups::V1(V1), Cgroups::None];

/// A C string that lives as long as the input is looked at.
pub fn cstr(bytes: &[u8]) -> &'static CStr {
    let mut copy: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    copy.push(0);
    CStr::from_bytes_with_nul(isopod::sys::memory::copy(&copy)).expect("one NUL")
}
