use jzon::JsonValue;

use super::*;
use crate::json::{Style, text};

/// A document in which every member is there, most with a value of its own.
const FULL: &str = r#"{
    "ociVersion": "1.3.0",
    "root": { "path": "rootfs", "readonly": true },
    "hostname": "host",
    "domainname": "domain",
    "annotations": { "org.example/key": "value", "empty": "" },
    "mounts": [
        {
            "destination": "/proc", "type": "proc", "source": "proc", "options": [],
            "uidMappings": [{ "containerID": 1, "hostID": 2, "size": 3 }],
            "gidMappings": [{ "containerID": 4, "hostID": 5, "size": 6 }]
        },
        { "destination": "/data", "source": "/volumes", "options": ["rbind", "rw"] }
    ],
    "process": {
        "terminal": true,
        "consoleSize": { "height": 25, "width": 80 },
        "user": { "uid": 1, "gid": 2, "umask": 63, "additionalGids": [5, 4294967295] },
        "args": ["sh", "-c"],
        "env": ["PATH=/bin", "TERM=xterm"],
        "cwd": "/root",
        "capabilities": {
            "bounding": ["CAP_A"], "effective": ["CAP_B"], "inheritable": ["CAP_C"], "permitted": ["CAP_D"],
            "ambient": ["CAP_E"]
        },
        "rlimits": [{ "type": "RLIMIT_CORE", "soft": 1024, "hard": 18446744073709551615 }],
        "noNewPrivileges": true,
        "apparmorProfile": "profile",
        "oomScoreAdj": -100,
        "scheduler": {
            "policy": "SCHED_DEADLINE", "nice": -20, "priority": 9, "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1,
            "deadline": 2, "period": 3
        },
        "selinuxLabel": "process_label",
        "ioPriority": { "class": "IOPRIO_CLASS_IDLE", "priority": 4 },
        "execCPUAffinity": { "initial": "7", "final": "0-3,7" }
    },
    "hooks": {
        "prestart": [{ "path": "/1", "args": ["1", "a"], "env": ["A=b"], "timeout": 5 }],
        "createRuntime": [{ "path": "/2" }],
        "createContainer": [{ "path": "/3", "args": [], "env": [] }],
        "startContainer": [{ "path": "/4" }],
        "poststart": [{ "path": "/5" }],
        "poststop": [{ "path": "/6" }, { "path": "/7" }]
    },
    "linux": {
        "devices": [
            { "type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 438, "uid": 1, "gid": 2 }
        ],
        "netDevices": { "eth0": { "name": "inside" }, "eth1": {} },
        "uidMappings": [{ "containerID": 0, "hostID": 1000, "size": 32000 }],
        "gidMappings": [{ "containerID": 0, "hostID": 1001, "size": 32001 }],
        "namespaces": [{ "type": "pid" }, { "type": "network", "path": "/run/netns/a" }],
        "resources": {
            "devices": [
                { "allow": false, "access": "rwm" },
                { "allow": true, "type": "c", "major": 10, "minor": -1, "access": "r" }
            ],
            "memory": {
                "limit": 1, "reservation": 2, "swap": 3, "kernel": -1, "kernelTCP": -2, "swappiness": 60,
                "disableOOMKiller": false, "useHierarchy": true, "checkBeforeUpdate": true
            },
            "cpu": {
                "shares": 1024, "quota": -1, "burst": 10, "period": 500000, "realtimeRuntime": 950000,
                "realtimePeriod": 1000000, "cpus": "2-3", "mems": "0-7", "idle": 1
            },
            "pids": { "limit": 32771 },
            "blockIO": {
                "weight": 10, "leafWeight": 11,
                "weightDevice": [{ "major": 8, "minor": 0, "weight": 500, "leafWeight": 300 }],
                "throttleReadBpsDevice": [{ "major": 8, "minor": 1, "rate": 600 }],
                "throttleWriteBpsDevice": [{ "major": 8, "minor": 2, "rate": 601 }],
                "throttleReadIOPSDevice": [{ "major": 8, "minor": 3, "rate": 602 }],
                "throttleWriteIOPSDevice": [{ "major": 8, "minor": 4, "rate": 603 }]
            },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 209715200 }],
            "network": { "classID": 1048577, "priorities": [{ "name": "eth0", "priority": 500 }] },
            "rdma": { "mlx5_1": { "hcaHandles": 3, "hcaObjects": 10000 } },
            "unified": { "io.max": "259:0 rbps=2097152\n253:0 wiops=120" }
        },
        "cgroupsPath": "system.slice:docker:x",
        "rootfsPropagation": "slave",
        "seccomp": {
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/seccomp.sock", "listenerMetadata": "meta",
            "syscalls": [
                {
                    "names": ["personality", "clone"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1,
                    "args": [
                        { "index": 5, "value": 18446744073709551615, "valueTwo": 8, "op": "SCMP_CMP_MASKED_EQ" }
                    ]
                }
            ]
        },
        "sysctl": { "net.ipv4.ip_forward": "1" },
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
        "mountLabel": "mount_label",
        "intelRdt": {
            "closID": "group", "schemata": ["L2:0=f"], "l3CacheSchema": "L3:0=7f0", "memBwSchema": "MB:0=20",
            "enableMonitoring": true
        },
        "memoryPolicy": { "mode": "MPOL_INTERLEAVE", "nodes": "2-3", "flags": ["MPOL_F_STATIC_NODES"] },
        "personality": { "domain": "LINUX32", "flags": ["X"] },
        "timeOffsets": { "monotonic": { "secs": -172800, "nanosecs": 5 }, "boottime": { "secs": 604800 } }
    }
}"#;

fn id_mapping(container: u32, host: u32, size: u32) -> IdMapping {
    IdMapping { container_id: Some(container), host_id: Some(host), size: Some(size) }
}

fn throttle(minor: i64, rate: u64) -> ThrottleDevice {
    ThrottleDevice { major: Some(8), minor: Some(minor), rate: Some(rate) }
}

fn hook(path: &str) -> Hook<'_> {
    Hook { path: Some(path), ..Hook::default() }
}

// Where a structure is written down without `..default()`, the compiler sees to it that no field is forgotten.

#[test]
fn every_field_of_the_top() {
    let spec = parse(FULL.as_bytes()).unwrap();
    let expected = Spec {
        oci_version: Some("1.3.0"),
        root: Some(&Root { path: Some("rootfs"), readonly: Some(true) }),
        mounts: &[
            Mount {
                destination: Some("/proc"),
                source: Some("proc"),
                kind: Some("proc"),
                options: Some(&[]),
                uid_mappings: &[id_mapping(1, 2, 3)],
                gid_mappings: &[id_mapping(4, 5, 6)],
            },
            Mount {
                destination: Some("/data"),
                source: Some("/volumes"),
                options: Some(&["rbind", "rw"]),
                ..Mount::default()
            },
        ],
        process: spec.process,
        hostname: Some("host"),
        domainname: Some("domain"),
        hooks: Some(&Hooks {
            prestart: &[Hook { path: Some("/1"), args: Some(&["1", "a"]), env: Some(&["A=b"]), timeout: Some(5) }],
            create_runtime: &[hook("/2")],
            create_container: &[Hook { args: Some(&[]), env: Some(&[]), ..hook("/3") }],
            start_container: &[hook("/4")],
            poststart: &[hook("/5")],
            poststop: &[hook("/6"), hook("/7")],
        }),
        annotations: spec.annotations,
        linux: spec.linux,
    };
    assert_eq!(*spec, expected);
    assert_eq!(spec.annotations[..], [("org.example/key", "value"), ("empty", "")]);
}

#[test]
fn every_field_of_the_process() {
    let expected = Process {
        terminal: Some(true),
        console_size: Some(ConsoleSize { height: Some(25), width: Some(80) }),
        user: Some(User { uid: Some(1), gid: Some(2), umask: Some(63), additional_gids: &[5, u32::MAX] }),
        args: &["sh", "-c"],
        env: &["PATH=/bin", "TERM=xterm"],
        cwd: Some("/root"),
        capabilities: Some(&Capabilities {
            bounding: &["CAP_A"],
            effective: &["CAP_B"],
            inheritable: &["CAP_C"],
            permitted: &["CAP_D"],
            ambient: &["CAP_E"],
        }),
        rlimits: &[Rlimit { kind: Some("RLIMIT_CORE"), soft: Some(1024), hard: Some(u64::MAX) }],
        no_new_privileges: Some(true),
        apparmor_profile: Some("profile"),
        oom_score_adj: Some(-100),
        scheduler: Some(&Scheduler {
            policy: Some("SCHED_DEADLINE"),
            nice: Some(-20),
            priority: Some(9),
            flags: &["SCHED_FLAG_RECLAIM"],
            runtime: Some(1),
            deadline: Some(2),
            period: Some(3),
        }),
        selinux_label: Some("process_label"),
        io_priority: Some(IoPriority { class: Some("IOPRIO_CLASS_IDLE"), priority: Some(4) }),
        exec_cpu_affinity: Some(ExecCpuAffinity { initial: Some("7"), last: Some("0-3,7") }),
    };
    assert_eq!(parse(FULL.as_bytes()).unwrap().process, Some(&expected));
}

#[test]
fn every_field_of_linux() {
    let linux = parse(FULL.as_bytes()).unwrap().linux.unwrap();
    let expected = Linux {
        devices: &[Device {
            kind: Some("c"),
            path: Some("/dev/fuse"),
            major: Some(10),
            minor: Some(229),
            file_mode: Some(0o666),
            uid: Some(1),
            gid: Some(2),
        }],
        net_devices: linux.net_devices,
        uid_mappings: &[id_mapping(0, 1000, 32000)],
        gid_mappings: &[id_mapping(0, 1001, 32001)],
        namespaces: &[
            Namespace { kind: Some("pid"), path: None },
            Namespace { kind: Some("network"), path: Some("/run/netns/a") },
        ],
        resources: linux.resources,
        cgroups_path: Some("system.slice:docker:x"),
        rootfs_propagation: Some("slave"),
        seccomp: Some(&Seccomp {
            default_action: Some("SCMP_ACT_ERRNO"),
            default_errno_ret: Some(38),
            architectures: &["SCMP_ARCH_X86_64"],
            flags: Some(&["SECCOMP_FILTER_FLAG_LOG"]),
            listener_path: Some("/run/seccomp.sock"),
            listener_metadata: Some("meta"),
            syscalls: &[Syscall {
                names: &["personality", "clone"],
                action: Some("SCMP_ACT_ALLOW"),
                errno_ret: Some(1),
                args: &[SyscallArg {
                    index: Some(5),
                    value: Some(u64::MAX),
                    value_two: Some(8),
                    op: Some("SCMP_CMP_MASKED_EQ"),
                }],
            }],
        }),
        sysctl: linux.sysctl,
        masked_paths: &["/proc/kcore"],
        readonly_paths: &["/proc/sys"],
        mount_label: Some("mount_label"),
        intel_rdt: Some(&IntelRdt {
            clos_id: Some("group"),
            schemata: &["L2:0=f"],
            l3_cache_schema: Some("L3:0=7f0"),
            mem_bw_schema: Some("MB:0=20"),
            enable_monitoring: Some(true),
        }),
        memory_policy: Some(&MemoryPolicy {
            mode: Some("MPOL_INTERLEAVE"),
            nodes: Some("2-3"),
            flags: &["MPOL_F_STATIC_NODES"],
        }),
        personality: Some(Personality { domain: Some("LINUX32"), flags: &["X"] }),
        time_offsets: linux.time_offsets,
    };
    assert_eq!(*linux, expected);
    assert_eq!(
        linux.net_devices[..],
        [("eth0", NetDevice { name: Some("inside") }), ("eth1", NetDevice { name: None })]
    );
    assert_eq!(linux.sysctl[..], [("net.ipv4.ip_forward", "1")]);
    assert_eq!(
        linux.time_offsets[..],
        [
            ("monotonic", TimeOffset { secs: Some(-172_800), nanosecs: Some(5) }),
            ("boottime", TimeOffset { secs: Some(604_800), nanosecs: None }),
        ]
    );
}

#[test]
fn every_field_of_the_resources() {
    let resources = parse(FULL.as_bytes()).unwrap().linux.unwrap().resources.unwrap();
    let expected = Resources {
        devices: &[
            DeviceRule { allow: Some(false), access: Some("rwm"), ..DeviceRule::default() },
            DeviceRule { allow: Some(true), kind: Some("c"), major: Some(10), minor: Some(-1), access: Some("r") },
        ],
        memory: Some(&Memory {
            limit: Some(1),
            reservation: Some(2),
            swap: Some(3),
            kernel: Some(-1),
            kernel_tcp: Some(-2),
            swappiness: Some(60),
            disable_oom_killer: Some(false),
            use_hierarchy: Some(true),
            check_before_update: Some(true),
        }),
        cpu: Some(&Cpu {
            shares: Some(1024),
            quota: Some(-1),
            burst: Some(10),
            period: Some(500_000),
            realtime_runtime: Some(950_000),
            realtime_period: Some(1_000_000),
            cpus: Some("2-3"),
            mems: Some("0-7"),
            idle: Some(1),
        }),
        pids: Some(Pids { limit: Some(32771) }),
        block_io: Some(&BlockIo {
            weight: Some(10),
            leaf_weight: Some(11),
            weight_device: &[WeightDevice {
                major: Some(8),
                minor: Some(0),
                weight: Some(500),
                leaf_weight: Some(300),
            }],
            throttle_read_bps_device: &[throttle(1, 600)],
            throttle_write_bps_device: &[throttle(2, 601)],
            throttle_read_iops_device: &[throttle(3, 602)],
            throttle_write_iops_device: &[throttle(4, 603)],
        }),
        hugepage_limits: &[HugepageLimit { page_size: Some("2MB"), limit: Some(209_715_200) }],
        network: Some(Network {
            class_id: Some(1_048_577),
            priorities: &[InterfacePriority { name: Some("eth0"), priority: Some(500) }],
        }),
        rdma: resources.rdma,
        unified: resources.unified,
    };
    assert_eq!(*resources, expected);
    assert_eq!(resources.rdma[..], [("mlx5_1", Rdma { hca_handles: Some(3), hca_objects: Some(10000) })]);
    assert_eq!(resources.unified.get("io.max"), Some("259:0 rbps=2097152\n253:0 wiops=120"));
}

/// Leaves out what is empty where empty and absent are the same.
fn without_empty(value: &JsonValue) -> JsonValue {
    match value {
        JsonValue::Array(items) => items.iter().map(without_empty).collect::<Vec<_>>().into(),
        JsonValue::Object(members) => {
            let mut kept = jzon::object::Object::new();
            for (name, value) in members.iter().map(|(name, value)| (name, without_empty(value))) {
                if value != jzon::array![] && value != jzon::object! {} {
                    kept.insert(name, value);
                }
            }
            kept.into()
        }
        other => other.clone(),
    }
}

#[test]
fn written_as_it_was_read() {
    let written = text(Style::Pretty, |w| w.value(parse(FULL.as_bytes()).unwrap()));
    assert_eq!(parse(written.as_bytes()).unwrap(), parse(FULL.as_bytes()).unwrap());
    let [before, after] = [FULL, written].map(|text| without_empty(&jzon::parse(text).unwrap()));
    assert_eq!(before, after);
}

#[test]
fn a_document_cut_off_anywhere_is_an_error() {
    for end in 0..FULL.len() {
        let error = parse(&FULL.as_bytes()[..end]).expect_err("cut off");
        assert!(error.to_string().starts_with("config.json line "), "{error}");
    }
}

/// How long the value is that the text begins with; what follows it must be a comma or a closing bracket, and no
/// string in it may hold a quote.
fn value_length(text: &str) -> usize {
    let (mut depth, mut quoted) = (0, false);
    let end = text.find(|character| {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            ',' | ']' | '}' if depth == 0 => return true,
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        false
    });
    end.unwrap()
}

#[test]
fn null_instead_of_anything_is_as_if_it_were_absent() {
    // Every member of the document in turn, found by the colon after its name.
    let mut tried = 0;
    for (colon, _) in FULL.match_indices("\": ") {
        let name = FULL[..colon].rfind('"').unwrap() + 1;
        let (with_null, renamed) = {
            let value = &FULL[colon + 3..];
            let (value, rest) = value.split_at(value_length(value));
            assert!(jzon::parse(value).is_ok(), "{value}");
            (format!("{}null{rest}", &FULL[..colon + 3]), format!("{}no such {}", &FULL[..name], &FULL[name..]))
        };
        // Names in maps are data: there, a strange one is no absent one.
        let is_data = ["org.", "empty", "eth", "mlx", "io.max", "net.", "monotonic", "boottime"];
        if !is_data.iter().any(|data| FULL[name..].starts_with(data)) {
            assert_eq!(parse(with_null.as_bytes()).unwrap(), parse(renamed.as_bytes()).unwrap());
            tried += 1;
        }
    }
    assert!(tried > 180);
}

#[test]
fn documents() {
    // The smallest ones, and what belongs to other systems.
    for good in [
        r#"{ "ociVersion": "1.0.0" }"#,
        r#"{ "ociVersion": "1.0.0", "root": { "path": "rootfs" } }"#,
        r#"{ "ociVersion": "1.0.0", "process": { "cwd": "/", "args": ["sh"], "user": { "uid": 0, "gid": 0 } } }"#,
        r#"{ "ociVersion": "1.0.0", "linux": { "netDevices": { "eth0": { "name": "container_eth0" }, "ens4": {} } } }"#,
        r#"{ "ociVersion": "1.0.0", "linux": { "resources": { "rdma": {
            "mlx5_1": { "hcaHandles": 3, "hcaObjects": 10000 }, "mlx4_0": { "hcaObjects": 1000 } } } } }"#,
        r#"{ "solaris": { "limitpriv": [1] }, "windows": {}, "vm": { "x": 1.5 }, "zos": null, "freebsd": "x",
            "process": { "commandLine": "x", "user": { "username": "x" } } }"#,
    ] {
        assert!(parse(good.as_bytes()).is_ok(), "{good}");
    }
    const U64: &str = "an integer from 0 to 18446744073709551615";
    const I64: &str = "an integer from -9223372036854775808 to 9223372036854775807";
    for (bad, error) in [
        ("{", "line 1 column 2: the text ends too early"),
        (
            r#"{ "linux": { "resources": { "hugepageLimits": [{ "limit": "123", "pageSize": "2MB" }] } } }"#,
            "linux.resources.hugepageLimits[0].limit: expected U64, found a string",
        ),
        (
            r#"{ "linux": { "netDevices": { "eth0": { "name": 23 } } } }"#,
            "linux.netDevices.eth0.name: expected a string, found 23",
        ),
        (
            r#"{ "linux": { "resources": { "rdma": { "mlx5_1": { "hcaHandles": "not a uint32" } } } } }"#,
            "linux.resources.rdma.mlx5_1.hcaHandles: expected an integer from 0 to 4294967295, found a string",
        ),
        (r#"{"process":{"rlimits":[{},{},{},{"type":3}]}}"#, "process.rlimits[3].type: expected a string, found 3"),
        (r#"{"mounts":[{},{},{"options":"ro"}]}"#, "mounts[2].options: expected an array, found a string"),
        (
            r#"{"linux":{"sysctl":{"net.core.somaxconn":256}}}"#,
            "linux.sysctl[\"net.core.somaxconn\"]: expected a string, found 256",
        ),
        (r#"{"hooks":{"poststop":[{"path":"/x"},[]]}}"#, "hooks.poststop[1]: expected an object, found an array"),
        (
            r#"{"linux":{"resources":{"memory":{"limit":1e9}}}}"#,
            "linux.resources.memory.limit: expected I64, found 1e9",
        ),
    ] {
        let error = error.replace("U64", U64).replace("I64", I64);
        assert_eq!(parse(bad.as_bytes()).unwrap_err().to_string(), format!("config.json {error}"));
    }
}

/// One step down in a document.
#[derive(Clone)]
enum Step {
    Name(String),
    Index(usize),
}

/// The ways to all values in it.
fn ways(value: &JsonValue, here: &mut Vec<Step>, all: &mut Vec<Vec<Step>>) {
    all.push(here.clone());
    let named = value.entries().map(|(name, value)| (Step::Name(name.to_owned()), value));
    let numbered = value.members().enumerate().map(|(index, value)| (Step::Index(index), value));
    for (step, value) in named.chain(numbered) {
        here.push(step);
        ways(value, here, all);
        here.pop();
    }
}

/// A way as an error writes it.
fn path(way: &[Step]) -> String {
    let steps = way.iter().enumerate().map(|(at, step)| match step {
        Step::Index(index) => format!("[{index}]"),
        Step::Name(name) if name.contains(['.', '/']) => format!("[{name:?}]"),
        Step::Name(name) => format!("{}{name}", if at == 0 { "" } else { "." }),
    });
    steps.collect()
}

/// The document with another text in place of a value.
fn replaced(way: &[Step], with: &str) -> String {
    const MARK: &str = "this one";
    let mut document = jzon::parse(FULL).unwrap();
    let place = way.iter().fold(&mut document, |value, step| match step {
        Step::Name(name) => &mut value[name.as_str()],
        Step::Index(index) => &mut value[*index],
    });
    *place = MARK.into();
    document.dump().replace(&format!("{MARK:?}"), with)
}

#[test]
fn whatever_is_of_a_wrong_kind_is_an_error_with_the_whole_path_to_it() {
    let document = jzon::parse(FULL).unwrap();
    let mut all = Vec::new();
    ways(&document, &mut Vec::new(), &mut all);
    for way in &all {
        let value = way.iter().fold(&document, |value, step| match step {
            Step::Name(name) => &value[name.as_str()],
            Step::Index(index) => &value[*index],
        });
        // What it is not, and how that is called.
        let others: &[(&str, &str)] = match value {
            JsonValue::Number(_) => &[
                ("1e0", "1e0"),
                ("1E2", "1E2"),
                ("1.0", "1.0"),
                ("0.5", "0.5"),
                ("-1e-1", "-1e-1"),
                ("18446744073709551616", "18446744073709551616"),
                ("-9223372036854775809", "-9223372036854775809"),
                (r#""1""#, "a string"),
                ("true", "true"),
                ("[1]", "an array"),
            ],
            JsonValue::Boolean(_) => &[("1", "1"), (r#""true""#, "a string"), ("{}", "an object")],
            JsonValue::Object(_) => &[("[]", "an array"), (r#""x""#, "a string"), ("0", "0")],
            JsonValue::Array(_) => &[("{}", "an object"), (r#""x""#, "a string"), ("false", "false")],
            _ => &[("{}", "an object"), ("[]", "an array"), ("7", "7"), ("true", "true")],
        };
        for (other, found) in others {
            let error = parse(replaced(way, other).as_bytes()).expect_err("of a wrong kind").to_string();
            let path = path(way);
            let begins = format!("config.json{}{path}: expected ", if path.is_empty() { "" } else { " " });
            assert!(error.starts_with(&begins) && error.ends_with(&format!(", found {found}")), "{error}: {begins}");
        }
        if let Some(Step::Index(_)) = way.last() {
            // Null is an absent member, but no item.
            let error = parse(replaced(way, "null").as_bytes()).expect_err("null").to_string();
            assert!(error.starts_with(&format!("config.json {}: expected ", path(way))), "{error}");
        }
    }
    assert!(all.len() > 200, "{}", all.len());
}
