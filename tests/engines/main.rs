//! Container engines with the runtime under test below them: what their users see, from `podman run` to an empty
//! machine afterwards. Each engine is a module that lists its tests; what podman and Docker do in the same words is
//! written once, in `both`. Nothing is downloaded, and every engine keeps its data in a directory of its own; the
//! daemons are the tests' own too, and end with them.
//!
//!     cargo test --release --test engines                        all of them, as root
//!     cargo test --release --test engines podman::memory         one
//!     RUNTIME=/usr/sbin/runc cargo test --release --test engines with another runtime
//!
//! A test that fails with another runtime is either wrong or shows a difference, which its comment then names.
//! (crun 1.8 refuses a hybrid cgroup layout unless every controller is on a v1 hierarchy; where hugetlb is not,
//! `mount -t cgroup -o hugetlb hugetlb DIR` helps.)

mod both;
mod buildah;
mod containerd;
mod docker;
mod engine;
mod host;
mod podman;

use libtest_mimic::Arguments;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let strays = host::strays();
    let trials = [podman::trials(), docker::trials(), containerd::trials(), buildah::trials()];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    podman::clean_up();
    docker::clean_up();
    containerd::clean_up();
    buildah::clean_up();
    host::remove_strays(&strays);
    conclusion.exit_code()
}
