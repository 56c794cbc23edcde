//! Golden tests of `plan`: what a config becomes, or what is wrong with it, as text that is kept beside it.
//!
//! - `NAME.json` is a config; `NAME.plan` its plan or `NAME.error` its one error.
//! - `errors/SUBJECT.txt` is a list of small mistakes: a line that begins with `{` is a JSON merge patch (RFC 7396) to
//!   `base.json`, the indented line below it the error that it leads to. Everything else is a comment.
//!
//! - `schema/` has the examples of the OCI runtime specification's schema, as they come with it (version 1.3, Apache
//!   License 2.0): those that are not a whole config are laid over `base.json`, with a network of its own.
//!
//! `NAME-v1` is for a host with cgroup version 1 (with 2 beside it), `NAME-bare` for one without cgroups, any other for
//! one with version 2.
//!
//! `BLESS=1 cargo test --test golden` writes down what comes out now; the diff in git then says what has changed.

use std::ffi::CStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use isopod::host::{AppArmor, Cgroups, Hierarchy, Security};
use isopod::plan::systemd::Owner;
use isopod::plan::text::Shown;
use isopod::plan::{self, Request};
use isopod::spec::{self, template};
use jzon::JsonValue;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut trials = Vec::new();
    for path in files(&here, "json") {
        trials.push(Trial::test(name(&path).to_owned(), move || config(&path, &read(&path)?)));
    }
    for (name, rootless) in [("spec", None), ("spec-rootless", Some((1000, 100)))] {
        let path = here.join(name);
        trials.push(Trial::test(name, move || config(&path, template::template(rootless, true))));
    }
    let base = here.join("base.json");
    for path in files(&here.join("errors"), "txt") {
        let base = base.clone();
        trials.push(Trial::test(format!("errors/{}", name(&path)), move || mistakes(&path, &read(&base)?)));
    }
    for path in files(&here.join("schema"), "json") {
        let base = base.clone();
        trials.push(Trial::test(format!("schema/{}", name(&path)), move || example(&path, &read(&base)?)));
    }
    trials.push(Trial::test("errors/nul-bytes", move || nul_bytes(&read(&here.join("strings.json"))?)));
    trials.push(Trial::test("errors/too-many-mappings", move || too_many_mappings(&read(&base)?)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The files in a directory that end so.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name in UTF-8")
}

fn read(path: &Path) -> Result<String, Failed> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn blessing() -> bool {
    env::var_os("BLESS").is_some()
}

/// One whole config.
fn config(path: &Path, text: &str) -> Result<(), Failed> {
    let (extension, other, text) = match outcome(name(path), text) {
        Ok(plan) => ("plan", "error", plan),
        Err(error) => ("error", "plan", error + "\n"),
    };
    let (path, other) = (path.with_extension(extension), path.with_extension(other));
    if blessing() {
        let _ = fs::remove_file(other);
        return Ok(fs::write(path, text)?);
    }
    if other.exists() {
        return Err(format!("{} was expected, but this came out:\n{text}", other.display()).into());
    }
    compare(&read(&path)?, &text)
}

/// A list of mistakes.
fn mistakes(path: &Path, base: &str) -> Result<(), Failed> {
    let expected = read(path)?;
    let mut told = String::new();
    let mut lines = expected.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(told, "{line}")?;
        if line.starts_with('{') {
            lines.next_if(|line| line.starts_with(' '));
            let mut config = jzon::parse(base)?;
            merge(&mut config, &jzon::parse(line).map_err(|error| format!("{line}: {error}"))?);
            match outcome(name(path), &config.dump()) {
                Err(error) => writeln!(told, "    {error}")?,
                Ok(_) => return Err(format!("nothing is wrong with {line}").into()),
            }
        }
    }
    if blessing() {
        return Ok(fs::write(path, told)?);
    }
    compare(&expected, &told)
}

/// RFC 7396.
fn merge(target: &mut JsonValue, patch: &JsonValue) {
    if !patch.is_object() {
        *target = patch.clone();
        return;
    }
    if !target.is_object() {
        *target = JsonValue::new_object();
    }
    for (name, value) in patch.entries() {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

/// An example of the schema: a whole config, or a part of one.
fn example(path: &Path, base: &str) -> Result<(), Failed> {
    let text = read(path)?;
    match jzon::parse(&text) {
        Ok(part) if !part.has_key("process") => {
            let mut whole = jzon::parse(base)?;
            whole["linux"]["namespaces"].push(jzon::object! { "type": "network" })?;
            merge(&mut whole, &part);
            config(path, &whole.dump())
        }
        _ => config(path, &text),
    }
}

/// A NUL byte ends a string of the kernel's. So wherever a text could reach it, it is an error with the path of the text.
fn nul_bytes(text: &str) -> Result<(), Failed> {
    /// Not given to the kernel, or as bytes whose number is known.
    const HARMLESS: [&str; 11] = [
        "ociVersion",
        "annotations[\"a.b\"]",
        // It is a bind mount for its options.
        "mounts[1].type",
        // Of later kernels, as far as one can know.
        "process.capabilities.bounding[0]",
        "linux.seccomp.syscalls[0].names[0]",
        "linux.resources.unified[\"memory.high\"]",
        "linux.seccomp.listenerMetadata",
        "linux.sysctl[\"kernel.msgmax\"]",
        "linux.intelRdt.l3CacheSchema",
        "linux.intelRdt.memBwSchema",
        "linux.intelRdt.schemata[0]",
    ];
    let whole = jzon::parse(text)?;
    outcome("strings", text)?;
    let mut paths = Vec::new();
    strings(&whole, &mut Vec::new(), &mut paths);
    let mut wrong = Vec::new();
    for path in &paths {
        let mut config = whole.clone();
        let place = path.iter().fold(&mut config, |value, step| match step {
            Step::Name(name) => &mut value[name.as_str()],
            Step::Index(index) => &mut value[*index],
        });
        *place = format!("{}\0", place.as_str().unwrap_or_default()).into();
        let path: String = path.iter().map(Step::to_string).collect();
        let path = path.strip_prefix('.').unwrap_or(&path);
        let told = outcome("strings", &config.dump()).err().unwrap_or_default();
        // Of what a name stands for all is said in one place; of an option it is said which.
        let place = match path {
            "linux.netDevices.eth0.name" => "linux.netDevices[\"eth0\"]",
            "mounts[1].options[1]" => "mounts[1].options: \"uids=0-0-1",
            path => path,
        };
        let named = told.strip_prefix("config.json ").is_some_and(|told| told.starts_with(place));
        if named == HARMLESS.contains(&path) {
            wrong.push(format!("{path}: {told:?}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// One step down in a config, as errors write it.
#[derive(Clone)]
enum Step {
    Name(String),
    Index(usize),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Name(name) if name.contains(['.', '/', ' ']) => write!(f, "[{name:?}]"),
            Step::Name(name) => write!(f, ".{name}"),
        }
    }
}

/// The ways to all strings.
fn strings(value: &JsonValue, here: &mut Vec<Step>, all: &mut Vec<Vec<Step>>) {
    if value.is_string() {
        all.push(here.clone());
    }
    let named = value.entries().map(|(name, value)| (Step::Name(name.to_owned()), value));
    let numbered = value.members().enumerate().map(|(index, value)| (Step::Index(index), value));
    for (step, value) in named.chain(numbered) {
        here.push(step);
        strings(value, here, all);
        here.pop();
    }
}

/// Two limits of the kernel that would make long lines in a list.
fn too_many_mappings(base: &str) -> Result<(), Failed> {
    for (first, count, error) in [
        (0, 341, "341 mappings, the kernel takes no more than 340"),
        (1_000_000, 340, "the text for the kernel has 6120 bytes, it takes no more than 4095"),
    ] {
        let mut config = jzon::parse(base)?;
        config["linux"]["namespaces"].push(jzon::object! { "type": "user" })?;
        let maps = (first..first + count).map(|id| jzon::object! { "containerID": id, "hostID": id, "size": 1 });
        config["linux"]["uidMappings"] = maps.collect::<Vec<_>>().into();
        let told = outcome("", &config.dump()).err().unwrap_or_default();
        compare(&format!("config.json linux.uidMappings: {error}"), &told)?;
    }
    Ok(())
}

/// The plan as text, or the error.
fn outcome(name: &str, config: &str) -> Result<String, String> {
    let spec = spec::parse(config.as_bytes()).map_err(|error| error.to_string())?;
    let cgroups = cgroups(name);
    let plan = plan::compile(spec, &cgroups, &request(name)).map_err(|error| error.to_string())?;
    let shown = Shown { plan: &plan, cgroups: &cgroups, state: "" };
    is_the_same_as_json(&shown)?;
    Ok(shown.to_string())
}

/// What people see is what programs see.
fn is_the_same_as_json(shown: &Shown<'_>) -> Result<(), String> {
    let json = jzon::parse(&format!("{shown:#}")).map_err(|error| error.to_string())?;
    let page = shown.to_string();
    for (name, value) in json.entries() {
        let there = page.lines().any(|line| line.split(' ').next() == Some(name));
        let empty = value.is_empty() || *value == false;
        if there == empty {
            return Err(format!("{name} is {value} in JSON, but this is the page:\n{page}"));
        }
    }
    Ok(())
}

/// The command line that a config is meant for.
fn request(name: &str) -> Request<'_> {
    let plain = Request { id: "golden", ..Request::default() };
    match name {
        "request" => Request {
            no_pivot: true,
            no_new_keyring: true,
            listen_fds: 2,
            preserve_fds: 1,
            notify: Some(["/run/supervisor", "/state/golden/notify"]),
            ..plain
        },
        "descriptors" => Request { preserve_fds: u32::MAX, ..plain },
        "systemd" => Request { systemd: Some(Owner::System), ..plain },
        "unmanaged" => Request { no_cgroups: true, ..plain },
        "conduct" | "idmaps" | "good-spec-example-v1" | "strings" => {
            Request { security: Security { apparmor: AppArmor::Confined, selinux: true }, ..plain }
        }
        _ => plain,
    }
}

/// The host that a config is meant for.
fn cgroups(name: &str) -> Cgroups<'static> {
    const fn hierarchy(mount: &'static CStr, controllers: &'static str) -> Hierarchy<'static> {
        Hierarchy { controllers, directory: c"", mount, own_path: "/", unified: controllers.is_empty() }
    }
    /// As Debian's systemd mounts them when told to use version 1.
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
    match name {
        _ if name.ends_with("-v1") => Cgroups::V1(V1),
        _ if name.ends_with("-bare") => Cgroups::None,
        _ => Cgroups::V2(&V2),
    }
}

/// The first line that differs, and its place.
fn compare(expected: &str, told: &str) -> Result<(), Failed> {
    if expected == told {
        return Ok(());
    }
    let same = expected.lines().zip(told.lines()).take_while(|(expected, told)| expected == told).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("the end").to_owned();
    Err(format!("line {}\n    expected: {}\n    but it is: {}", same + 1, line(expected), line(told)).into())
}
