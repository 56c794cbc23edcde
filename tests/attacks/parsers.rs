//! Lengths and numbers that are too large for whoever reads them.

use std::fs;

use jzon::{array, object};

use crate::breach::{holds, refused};
use crate::support::{Container, Sandbox};
use crate::{Attack, attack};

pub fn attacks() -> Vec<Attack> {
    vec![
        attack!(cve_2021_43784_overlong_namespace_path),
        attack!(cve_2021_43784_too_many_mappings),
        attack!(overlong_everything),
    ]
}

/// Either refused, or in namespaces of its own: the attack is to be left in the host's.
#[track_caller]
fn is_in_its_own(c: &mut Container<'_>) {
    c.sh("for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done");
    let ran = c.run();
    if ran.code != 0 {
        return;
    }
    for name in ["pid", "net", "ipc", "uts", "mnt"] {
        let hosts = fs::read_link(format!("/proc/self/ns/{name}")).expect("namespace");
        let hosts = hosts.to_str().expect("text");
        holds(!ran.stdout().contains(hosts), format_args!("{name}: in the host's namespace: {}", c.id));
    }
}

fn cve_2021_43784_overlong_namespace_path(t: &Sandbox) {
    let lengths = (65_530..=65_560).step_by(5).chain([4_096, 1 << 17, 1 << 20]);
    for length in lengths {
        for place in [0, 2, 4] {
            let mut c = t.container();
            let path = format!("/proc/self/ns/uts{}", "/".repeat(length));
            c.config["linux"]["namespaces"][place]["path"] = path.into();
            is_in_its_own(&mut c);
        }
    }
}

/// The kernel takes 340.
fn cve_2021_43784_too_many_mappings(t: &Sandbox) {
    let mut c = t.container();
    let lines: Vec<_> = (0..400).map(|id| object! { containerID: id, hostID: 100_000 + 2 * id, size: 1 }).collect();
    c.config["linux"]["uidMappings"] = lines.clone().into();
    c.config["linux"]["gidMappings"] = lines.into();
    c.namespace("user").sh("true");
    refused(&c.run());
}

/// One thing after the other that has no end; refused or done, but the container is confined as it should be.
fn overlong_everything(t: &Sandbox) {
    let long = "x".repeat(70_000);
    let traps: [&dyn Fn(&mut Container<'_>); 6] = [
        &|c| c.config["hostname"] = "h".repeat(65).into(),
        &|c| {
            for n in 0..60 {
                c.env(&format!("V{n}={long}"));
            }
        },
        &|c| c.config["linux"]["cgroupsPath"] = format!("/{long}").into(),
        &|c| c.config["process"]["cwd"] = format!("/{long}").into(),
        &|c| c.config["linux"]["maskedPaths"] = array![format!("/{long}")],
        // Here even the naive one is lost: what follows is of the host's.
        &|c| c.config["linux"]["namespaces"][0]["path"] = format!("/{long}").into(),
    ];
    for trap in traps {
        let mut c = t.container();
        trap(&mut c);
        is_in_its_own(&mut c);
    }
}
