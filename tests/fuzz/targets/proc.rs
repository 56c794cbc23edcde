//! Files of the kernel in which others have a word: the name of a process in `/proc/PID/stat`, the paths of cgroups in
//! `/proc/self/cgroup`.

#![no_main]

use isopod_fuzz::with;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        // Whatever the name is, the numbers are the kernel's.
        let rest = b") S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 3 18 4242 23 24 25 26 27 28 29 30 31 32 4096 34\n";
        let line = [b"17 (", data, rest].concat();
        let stat = isopod::fuzz::stat(&line).expect("a line of the kernel's");
        assert_eq!((stat.letter, stat.threads, stat.start_time, stat.ignored), (b'S', 3, 4242, 4096));
        let _ = isopod::fuzz::stat(data);

        if let Ok(text) = std::str::from_utf8(data) {
            let own = isopod::sys::memory::text(text);
            for one in isopod::fuzz::hierarchies(own, "memory\ncpu,cpuacct\nsystemd\nunified\n") {
                assert_eq!(one.unified, one.controllers.is_empty());
                assert!(one.mount.to_bytes().starts_with(b"/sys/fs/cgroup/"));
            }
        }
    });
});
