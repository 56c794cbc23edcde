//! Profiles as the tests think of them: made of a file or by chance, and written down for both compilers.

use isopod::seccomp::{self, Filter, Unknown};
use isopod::sys::memory;
use isopod::{json, spec};
use jzon::JsonValue;

#[derive(Clone, Debug)]
pub struct Profile {
    pub default: Action,
    pub arches: Vec<&'static str>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    pub name: &'static str,
    pub errno: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Rule {
    pub names: Vec<String>,
    pub action: Action,
    pub args: Vec<Arg>,
}

#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub index: u32,
    pub op: usize,
    pub value: u64,
    pub value_two: u64,
}

/// In the order of `enum scmp_compare`, from 1.
pub const OPS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];

const ACTIONS: [(&str, u32); 9] = [
    ("ALLOW", 0x7fff_0000),
    ("ERRNO", 0x0005_0000),
    ("KILL", 0),
    ("KILL_THREAD", 0),
    ("KILL_PROCESS", 0x8000_0000),
    ("LOG", 0x7ffc_0000),
    ("TRACE", 0x7ff0_0000),
    ("TRAP", 0x0003_0000),
    ("NOTIFY", 0x7fc0_0000),
];

impl Action {
    pub fn number(&self) -> u32 {
        let (name, number) = ACTIONS.iter().find(|(name, _)| *name == self.name).expect("an action");
        number | if matches!(*name, "ERRNO" | "TRACE") { self.errno.unwrap_or(1) } else { 0 }
    }

    fn named(name: &str, errno: Option<u32>) -> Action {
        let name = name.strip_prefix("SCMP_ACT_").expect("the prefix");
        Action { name: ACTIONS.iter().find(|(known, _)| *known == name).expect("an action").0, errno }
    }
}

impl Rule {
    /// Two conditions on one argument are alternatives, and then so are all of them.
    pub fn alternatives(&self) -> Vec<&[Arg]> {
        let repeated = (0..6).any(|index| self.args.iter().filter(|arg| arg.index == index).count() > 1);
        if repeated { self.args.chunks(1).collect() } else { vec![&self.args] }
    }
}

impl Profile {
    pub fn from_json(text: &str) -> Profile {
        let json = jzon::parse(text).expect("JSON");
        let strings = |list: &JsonValue| list.members().map(|word| word.to_string()).collect::<Vec<_>>();
        let arg = |arg: &JsonValue| Arg {
            index: arg["index"].as_u32().expect("index"),
            op: OPS.iter().position(|op| arg["op"].as_str() == Some(&format!("SCMP_CMP_{op}"))).expect("op"),
            value: arg["value"].as_u64().expect("value"),
            value_two: arg["valueTwo"].as_u64().unwrap_or(0),
        };
        let rule = |rule: &JsonValue| Rule {
            names: strings(&rule["names"]),
            action: Action::named(&rule["action"].to_string(), rule["errnoRet"].as_u32()),
            args: rule["args"].members().map(arg).collect(),
        };
        Profile {
            default: Action::named(&json["defaultAction"].to_string(), json["defaultErrnoRet"].as_u32()),
            arches: vec!["X86_64", "X86", "X32"],
            rules: json["syscalls"].members().map(rule).collect(),
        }
    }

    pub fn json(&self) -> String {
        let errno = |field: &str, errno: Option<u32>| errno.map_or(String::new(), |n| format!(", \"{field}\": {n}"));
        let rules: Vec<String> =
            self.rules
                .iter()
                .map(|rule| {
                    let args: Vec<String> = rule.args.iter().map(|arg| {
                let (index, value, two, op) = (arg.index, arg.value, arg.value_two, OPS[arg.op]);
                format!("{{\"index\": {index}, \"value\": {value}, \"valueTwo\": {two}, \"op\": \"SCMP_CMP_{op}\"}}")
            }).collect();
                    let (action, ret) = (rule.action.name, errno("errnoRet", rule.action.errno));
                    format!(
                        "{{\"names\": {:?}, \"action\": \"SCMP_ACT_{action}\"{ret}, \"args\": [{}]}}",
                        rule.names,
                        args.join(", ")
                    )
                })
                .collect();
        let arches: Vec<String> = self.arches.iter().map(|arch| format!("\"SCMP_ARCH_{arch}\"")).collect();
        format!(
            "{{\"defaultAction\": \"SCMP_ACT_{}\"{}, \"architectures\": [{}], \"syscalls\": [\n{}]}}",
            self.default.name,
            errno("defaultErrnoRet", self.default.errno),
            arches.join(", "),
            rules.join(",\n")
        )
    }

    /// Our own compiler's work.
    pub fn compile(&self) -> Result<Filter<'static>, String> {
        let text = memory::text(&self.json());
        let profile = json::from_slice::<spec::Seccomp<'_>>(text.as_bytes()).map_err(|error| error.to_string())?;
        seccomp::compile(&profile, Unknown::Skip).map_err(|error| error.to_string())
    }

    /// The same for tests/seccomp/oracle.c, as crun would tell libseccomp.
    pub fn for_libseccomp(&self) -> String {
        let mut text = format!("begin {}\n", self.default.number());
        for arch in &self.arches {
            text += &format!("arch {}\n", arch.to_lowercase());
        }
        for rule in self.rules.iter().filter(|rule| rule.action.number() != self.default.number()) {
            for name in &rule.names {
                for args in rule.alternatives() {
                    text += &format!("rule {} {name}", rule.action.number());
                    for arg in args {
                        text += &format!(" {} {} {} {}", arg.index, arg.op + 1, arg.value, arg.value_two);
                    }
                    text.push('\n');
                }
            }
        }
        text + "end\n"
    }

    /// Values at which an argument may make a difference.
    pub fn interesting_values(&self) -> Vec<u64> {
        let mut values = vec![0, 1, u64::MAX, 1 << 32, u64::from(u32::MAX)];
        for arg in self.rules.iter().flat_map(|rule| &rule.args) {
            for value in [arg.value, arg.value_two, !arg.value, arg.value_two | !arg.value] {
                values.extend([value, value.wrapping_sub(1), value.wrapping_add(1)]);
                values.extend([value ^ 1 << 32, value & 0xffff_ffff, value | 0xffff_ffff, value >> 32]);
            }
        }
        // What socketcall and ipc are called with.
        values.extend(2..25);
        values.sort_unstable();
        values.dedup();
        values
    }
}
