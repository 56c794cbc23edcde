//! `exec --process`: a document becomes a process or an error, whatever the container's own process was.

#![no_main]

use isopod::host::{AppArmor, Security};
use isopod::plan::exec::{self, Ids, Request};
use isopod::{json, spec};
use isopod_fuzz::{good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        let Some(given) = good(json::from_document::<spec::Process<'_>>("process.json", data)) else { return };
        let config =
            spec::Process { args: &["sh"], env: &["PATH=/bin", "A=b"], cwd: Some("/"), ..spec::Process::default() };
        let security = Security { apparmor: AppArmor::On, selinux: true };
        let plain = Request { security, ..Request::default() };
        let more = Request {
            env: &["A=c", "HOME=/"],
            capabilities: 1 << 5,
            user: Some(Ids { uid: 7, gid: 8 }),
            groups: &[9],
            terminal: Some(false),
            listen_fds: 3,
            ..plain
        };
        for request in [&plain, &more] {
            if let Some(planned) = good(exec::plan(&config, Some(("process.json", &given)), request)) {
                assert!(!planned.args.is_empty());
                // The command line is obeyed; nothing becomes inheritable beyond the document's wish (CVE-2022-29162).
                if request.user.is_some() {
                    assert_eq!((planned.user.uid, planned.user.gid), (7, 8));
                    assert!(planned.capabilities.effective & 1 << 5 != 0);
                    assert!(planned.terminal.is_none());
                }
                // The document as the container's own process.
                good(exec::plan(&given, None, &Request { args: &[c"true"], ..*request }));
            }
        }
    });
});
