//! `config.json` becomes a plan or an error; a plan can be printed, and what is printed as JSON is JSON.

#![no_main]

use isopod::host::caller::{Caller, Range};
use isopod::host::{AppArmor, Security};
use isopod::plan::text::Shown;
use isopod::plan::{self, Request};
use isopod::spec;
use isopod_fuzz::{HOSTS, good, with};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with(|| {
        let Some(spec) = good(spec::parse(data)) else { return };
        // Who asks, and where, depends on the input too.
        let (cgroups, user) = (&HOSTS[data.len() % 3], data.len() / 3 % 3);
        let root = Request { id: "fuzz", ..Request::default() };
        let request = match user {
            0 => root,
            1 => Request {
                no_pivot: true,
                listen_fds: 2,
                preserve_fds: u32::MAX,
                notify: Some(["/run/notify", "/state/notify"]),
                security: Security { apparmor: AppArmor::Confined, selinux: true },
                seccomp_receiver: "/run/receiver",
                ..root
            },
            _ => {
                let ids = Some(Range { first: 100_000, count: 65_536 });
                Request {
                    caller: Some(Caller { uid: 1000, gid: 100, subuid: ids, subgid: None }),
                    cgroup_parent: "/user.slice",
                    ..root
                }
            }
        };
        if let Some(plan) = good(plan::compile(spec, cgroups, &request)) {
            let shown = Shown { plan: &plan, cgroups, state: "/run/isopod/fuzz" };
            assert!(!shown.to_string().is_empty());
            let json = format!("{shown:#}");
            serde_json::from_str::<serde_json::Value>(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        }
    });
});
