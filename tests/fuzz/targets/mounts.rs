//! One mount: the first lines are destination, type and source, each further line an option. No attribute is both set
//! and cleared, a destination is within the container, and what is mounted on `/proc` is a procfs.

#![no_main]

use isopod::plan::mount::{self, Propagation, Role, Surroundings, What};
use isopod::plan::namespace::Namespaces;
use isopod::spec;
use isopod::sys::mount::propagation;
use isopod::sys::namespace::kind;
use isopod_fuzz::{good, with_text};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with_text(data, |text| {
        let mut lines = text.split('\n');
        let [destination, kind, source] = [lines.next(), lines.next(), lines.next()];
        let options: Vec<&str> = lines.collect();
        let one = spec::Mount { destination, kind, source, options: Some(&options), ..spec::Mount::default() };
        let below = spec::Mount {
            destination: Some("/a/b"),
            kind: Some("tmpfs"),
            source: None,
            options: None,
            ..spec::Mount::default()
        };
        let private = Propagation { kind: propagation::PRIVATE, recursive: true };
        let linux = spec::Linux::default();
        let namespaces = Namespaces { new: kind::MOUNT, join: &[], maps: None, time_offsets: None };
        let around = Surroundings {
            propagation: private,
            linux: &linux,
            namespaces: &namespaces,
            label: None,
            is_root: data.len().is_multiple_of(2),
        };
        let Some(mounts) = good(mount::plan(&[one, below], &around)) else { return };
        let [planned, _] = mounts.steps else { panic!("{} steps", mounts.steps.len()) };
        let normal = planned.destination.normal;
        let is_remount = matches!(planned.what, What::Remount { .. });
        assert!(normal.starts_with('/'), "{normal:?}");
        assert_eq!(planned.role == Role::Root, normal == "/" && !is_remount, "{normal:?}");
        assert!(normal == "/" || !normal.ends_with('/'), "{normal:?}");
        assert!(!normal.split('/').any(|part| part == ".." || part == "."), "{normal:?}");
        for change in planned.changes {
            assert_eq!(change.attr.attr_set & change.attr.attr_clr & !mount_atime(), 0, "{change:?}");
        }
        if normal == "/proc" {
            assert!(match planned.what {
                What::Filesystem { fs, .. } => fs == c"proc",
                What::Bind { source, .. } => source == c"/proc",
                What::Cgroup => false,
                // Whatever it is, it is there already.
                What::Remount { .. } => true,
            });
        }
    });
});

/// The access times are a number, not bits: the kernel wants all of them cleared for one to be set.
fn mount_atime() -> u64 {
    isopod::sys::mount::attr::ATIME
}
