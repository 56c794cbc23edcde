//! libseccomp and the kernel, each behind a small C program; and seccompiler.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use isopod::sys::security::SockFilter;
use seccompiler::SeccompRule;

use crate::bpf::{Call, I386};
use crate::profile::{Action, Arg, OPS, Profile};

/// A program that is compiled once for each run of the tests.
pub type Peer = LazyLock<Result<PathBuf, String>>;

pub static LIBSECCOMP: Peer = LazyLock::new(|| compile("libseccomp", include_str!("oracle.c"), &["-lseccomp"]));
pub static KERNEL: Peer = LazyLock::new(|| compile("kernel", include_str!("kernel.c"), &[]));

fn compile(name: &str, source: &str, libraries: &[&str]) -> Result<PathBuf, String> {
    let target = program(name);
    let file = target.with_extension("c");
    std::fs::write(&file, source).expect("write");
    let output =
        Command::new("gcc").args(["-O1", "-mno-red-zone", "-o"]).args([&target, &file]).args(libraries).output();
    let _ = std::fs::remove_file(&file);
    match output {
        Ok(output) if output.status.success() => Ok(target),
        _ => Err(format!("no C compiler, or no headers, for {name}")),
    }
}

/// Takes the programs away at the end of the run.
pub fn remove() {
    for name in ["libseccomp", "kernel"] {
        let _ = std::fs::remove_file(program(name));
    }
}

fn program(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("seccomp-test-{name}-{}", std::process::id()))
}

fn ask(peer: &Peer, input: String) -> String {
    let path = peer.as_ref().expect("the test needs it");
    let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn");
    let mut stdin = child.stdin.take().expect("piped");
    // Both sides may have more to say than a pipe holds.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("join").expect("write");
    assert!(output.status.success(), "{path:?}: {:?}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What libseccomp made of a profile.
#[derive(Default)]
pub struct Compiled {
    pub program: Vec<SockFilter>,
    /// Names that this version of it does not know.
    pub unknown: Vec<String>,
    pub refused: Vec<String>,
}

pub fn libseccomp(profiles: &[Profile]) -> Vec<Compiled> {
    let output = ask(&LIBSECCOMP, profiles.iter().map(Profile::for_libseccomp).collect());
    let mut all = Vec::new();
    let mut current = Compiled::default();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        match line.split_once(' ').expect("two words") {
            ("unknown", name) => current.unknown.push(name.to_owned()),
            ("refused", what) => current.refused.push(what.to_owned()),
            ("program", count) => {
                let instructions = lines.by_ref().take(count.parse().expect("a number"));
                current.program = instructions.map(instruction).collect();
                all.push(std::mem::take(&mut current));
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(all.len(), profiles.len());
    all
}

/// What seccompiler makes of a profile that it can express: one architecture, and one action beside the default.
pub fn seccompiler(profile: &Profile, action: &Action, number: impl Fn(&str) -> Option<u32>) -> Vec<SockFilter> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter};
    let condition = |arg: &Arg| {
        let op = match OPS[arg.op] {
            "NE" => SeccompCmpOp::Ne,
            "LT" => SeccompCmpOp::Lt,
            "LE" => SeccompCmpOp::Le,
            "EQ" => SeccompCmpOp::Eq,
            "GE" => SeccompCmpOp::Ge,
            "GT" => SeccompCmpOp::Gt,
            _ => SeccompCmpOp::MaskedEq(arg.value),
        };
        let value = if OPS[arg.op] == "MASKED_EQ" { arg.value_two } else { arg.value };
        SeccompCondition::new(arg.index as u8, SeccompCmpArgLen::Qword, op, value).expect("a condition")
    };
    let answer = |action: &Action| match action.name {
        "ALLOW" => SeccompAction::Allow,
        "ERRNO" => SeccompAction::Errno(action.errno.unwrap_or(1)),
        "KILL" => SeccompAction::KillThread,
        "KILL_PROCESS" => SeccompAction::KillProcess,
        "LOG" => SeccompAction::Log,
        "TRACE" => SeccompAction::Trace(action.errno.unwrap_or(1)),
        "TRAP" => SeccompAction::Trap,
        other => panic!("{other}"),
    };
    // For each call the alternatives; none means whatever the arguments are.
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in &profile.rules {
        for call in rule.names.iter().filter_map(|name| number(name)) {
            let unconditional = calls.get(&i64::from(call)).is_some_and(Vec::is_empty);
            let alternatives = calls.entry(call.into()).or_default();
            if unconditional || rule.args.is_empty() {
                alternatives.clear();
                continue;
            }
            let conditions = |args: &[Arg]| SeccompRule::new(args.iter().map(condition).collect()).expect("a rule");
            alternatives.extend(rule.alternatives().into_iter().map(conditions));
        }
    }
    let arch = seccompiler::TargetArch::x86_64;
    let filter = SeccompFilter::new(calls, answer(&profile.default), answer(action), arch).expect("a filter");
    let program = BpfProgram::try_from(filter).expect("a program");
    program.iter().map(|one| SockFilter { code: one.code, jt: one.jt, jf: one.jf, k: one.k }).collect()
}

fn instruction(line: &str) -> SockFilter {
    let numbers: Vec<u32> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
    SockFilter { code: numbers[0] as u16, jt: numbers[1] as u8, jf: numbers[2] as u8, k: numbers[3] }
}

/// What the kernel answers to these calls under this filter. Since some answers are deadly, each is replaced by an
/// errno for this and translated back.
pub fn kernel(program: &[SockFilter], calls: &[Call]) -> Vec<u32> {
    const ERRNO: u32 = 0x0005_0000;
    let mut answers: Vec<u32> = program.iter().filter(|one| one.code == 6).map(|one| one.k).collect();
    answers.sort_unstable();
    answers.dedup();
    // exit_group(77) has to pass.
    let mut filter = vec![
        SockFilter { code: 0x20, jt: 0, jf: 0, k: 0 },
        SockFilter { code: 0x15, jt: 0, jf: 3, k: 231 },
        SockFilter { code: 0x20, jt: 0, jf: 0, k: 16 },
        SockFilter { code: 0x15, jt: 0, jf: 1, k: 77 },
        SockFilter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 },
    ];
    filter.extend(program.iter().map(|one| match one.code {
        6 => SockFilter { k: ERRNO | (1 + answers.iter().position(|k| *k == one.k).expect("there") as u32), ..*one },
        _ => *one,
    }));
    let mut input = format!("{}\n", filter.len());
    for SockFilter { code, jt, jf, k } in &filter {
        input += &format!("{code} {jt} {jf} {k}\n");
    }
    input += &format!("{}\n", calls.len());
    for Call { arch, number, args: [a, b, c, d, e, f] } in calls {
        input += &format!("{} {number} {a} {b} {c} {d} {e} {f}\n", u32::from(*arch == I386));
    }
    let output = ask(&KERNEL, input);
    output.lines().map(|line| answers[line.parse::<usize>().expect("an errno") - 1]).collect()
}
