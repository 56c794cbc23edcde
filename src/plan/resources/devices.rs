//! `linux.resources.devices`: which devices may be used, as rules of which the last one that fits decides.

use super::{Devices, Table, missing, text, wrong};
use crate::ebpf::{self, Kind, Rule, access};
use crate::error::{Quoted, Result};
use crate::host::Cgroups;
use crate::spec::DeviceRule;
use crate::sys::memory::Growing;

const fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
    Rule { allow: true, kind, major, minor, access }
}

const NOTHING: Rule = Rule { allow: false, ..allow(Kind::All, None, None, access::ALL) };

/// What every container needs; a rule that denies everything means everything else.
static DEFAULTS: [Rule; 12] = [
    // To make any node is no harm: to open it is.
    allow(Kind::Char, None, None, access::MKNOD),
    allow(Kind::Block, None, None, access::MKNOD),
    // null, random, full, zero, urandom
    allow(Kind::Char, Some(1), Some(3), access::ALL),
    allow(Kind::Char, Some(1), Some(8), access::ALL),
    allow(Kind::Char, Some(1), Some(7), access::ALL),
    allow(Kind::Char, Some(1), Some(5), access::ALL),
    allow(Kind::Char, Some(1), Some(9), access::ALL),
    // tty, console, ptmx, and the terminals that it makes
    allow(Kind::Char, Some(5), Some(0), access::ALL),
    allow(Kind::Char, Some(5), Some(1), access::ALL),
    allow(Kind::Char, Some(5), Some(2), access::ALL),
    allow(Kind::Char, Some(136), None, access::ALL),
    // tun
    allow(Kind::Char, Some(10), Some(200), access::ALL),
];

/// The rules that count, in order; the first is about everything. A list that does not begin so begins by denying: it
/// is a list of what is allowed.
///
/// # Errors
/// A rule that makes no sense.
pub(super) fn rules<'a>(given: &[DeviceRule<'_>]) -> Result<&'a [Rule]> {
    let mut all: Growing<'a, Rule> = Growing::new();
    for (i, rule) in given.iter().enumerate() {
        let rule = parsed(i, rule)?;
        all.push(rule);
    }
    let all = &*all.finish();
    let last = all.iter().rposition(Rule::is_total);
    let rest = last.map_or(all, |at| &all[at + 1..]);
    let mut rules = Growing::new();
    match last {
        Some(at) if all[at].allow => rules.push(all[at]),
        None if all.is_empty() => {}
        _ => {
            rules.push(NOTHING);
            DEFAULTS.iter().filter(|rule| !rest.contains(rule)).for_each(|rule| rules.push(*rule));
        }
    }
    rest.iter().for_each(|rule| rules.push(*rule));
    Ok(rules.finish())
}

/// Whether there is nothing that they deny.
pub(super) fn allow_all(rules: &[Rule]) -> bool {
    rules.iter().all(|rule| rule.allow)
}

fn parsed(i: usize, rule: &DeviceRule<'_>) -> Result<Rule> {
    let at = |name| text(format_args!("devices[{i}].{name}"));
    let number = |name, number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => match u32::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(wrong(at(name), format_args!("{number} is no device number"))),
        },
    };
    let kind = match rule.kind {
        None | Some("a" | "") => Kind::All,
        Some("b") => Kind::Block,
        Some("c") => Kind::Char,
        Some(kind) => return Err(wrong(at("type"), format_args!("{} is not a, b or c", Quoted(kind)))),
    };
    let mut accesses = 0;
    let given = rule.access.filter(|access| !access.is_empty()).unwrap_or("rwm");
    for letter in given.bytes() {
        let bit = match letter {
            b'r' => access::READ,
            b'w' => access::WRITE,
            b'm' => access::MKNOD,
            _ => 0,
        };
        if bit == 0 || accesses & bit != 0 {
            return Err(wrong(at("access"), format_args!("{} is not made of r, w and m", Quoted(given))));
        }
        accesses |= bit;
    }
    Ok(Rule {
        allow: rule.allow.ok_or_else(|| missing(at("allow")))?,
        kind,
        major: number("major", rule.major)?,
        minor: number("minor", rule.minor)?,
        access: accesses,
    })
}

impl<'a> Table<'_, 'a> {
    /// Version 1 has files for them; with version 2 alone it takes a program.
    pub(super) fn devices(&mut self, given: &[DeviceRule<'_>]) -> Result<Option<Devices<'a>>> {
        let rules = rules(given)?;
        if matches!(self.cgroups, Cgroups::V2(_)) {
            let program = if allow_all(rules) { &[] } else { ebpf::compile(rules) };
            return Ok((!rules.is_empty()).then_some(Devices { rules, program }));
        }
        if allow_all(rules) {
            return Ok(None);
        }
        for (i, rule) in rules.iter().enumerate() {
            if !rule.allow && !rules[0].allow {
                self.can_deny(rule, &rules[1..i.max(1)])?;
            }
            // In these files "all" stands alone.
            let both = rule.kind == Kind::All && !rule.is_total();
            let kinds = [if both { Kind::Block } else { rule.kind }, Kind::Char];
            for kind in kinds.into_iter().take(if both { 2 } else { 1 }) {
                let value = text(format_args!("{}", Rule { kind, ..*rule }));
                self.set("devices", if rule.allow { "devices.allow" } else { "devices.deny" }, "", value)?;
            }
        }
        Ok(None)
    }

    /// Version 1 keeps a list of what is allowed, from which it takes only what stands there word for word; anything
    /// else it ignores.
    fn can_deny(&self, denied: &Rule, before: &[Rule]) -> Result<()> {
        let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        let remains = |allowed: &&Rule| {
            allowed.allow
                && (allowed.kind == denied.kind || allowed.kind == Kind::All || denied.kind == Kind::All)
                && (allowed.major, allowed.minor) != (denied.major, denied.minor)
                && meet(allowed.major, denied.major)
                && meet(allowed.minor, denied.minor)
                // See DEFAULTS.
                && allowed.access & denied.access & !access::MKNOD != 0
        };
        match before.iter().find(remains) {
            Some(allowed) => Err(wrong(
                "devices",
                format_args!("cgroup version 1 cannot deny \"{denied}\" after \"{allowed}\" was allowed"),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits;
    use super::super::tests::{V1, V2, parsed};
    use super::*;

    /// The defaults but for some, as version 1 writes them.
    fn defaults(but: &[&str]) -> Vec<String> {
        let words = DEFAULTS.iter().map(Rule::to_string).filter(|rule| !but.contains(&rule.as_str()));
        words.map(|rule| format!("+{rule}")).collect()
    }

    /// The rules of version 1, with `+` or `-` for allow and deny, or the error.
    fn told(rules: &str) -> Result<Vec<String>, String> {
        let text = format!("{{\"devices\":[{rules}]}}");
        let sign = |file| if file == "devices.allow" { "+" } else { "-" };
        let v1 = limits(parsed(&text), &V1).map_err(|error| error.to_string())?;
        assert!(v1.devices.is_none());
        Ok(v1.writes.iter().map(|write| format!("{}{}", sign(write.file), write.value)).collect())
    }

    fn rules_of(rules: &str) -> Vec<String> {
        let limits = limits(parsed(&format!("{{\"devices\":[{rules}]}}")), &V2).expect("good rules");
        assert!(limits.writes.is_empty());
        let Some(devices) = limits.devices else { return Vec::new() };
        assert_eq!(devices.program.is_empty(), devices.rules.iter().all(|rule| rule.allow));
        devices.rules.iter().map(|rule| format!("{}{rule}", if rule.allow { "+" } else { "-" })).collect()
    }

    #[test]
    fn what_no_rule_allows_is_denied() {
        for rules in [
            r#"{"allow":false}"#,
            r#"{"allow":false,"type":"a","major":-1,"minor":-1,"access":"mwr"}"#,
            r#"{"allow":true,"type":"c","major":9,"minor":9},{"allow":true},{"allow":false,"access":""}"#,
        ] {
            assert_eq!(rules_of(rules), [vec!["-a".into()], defaults(&[])].concat());
            assert_eq!(told(rules), Ok(rules_of(rules)));
        }
        let rules =
            r#"{"allow":true,"type":"c","major":10,"minor":200},{"allow":true,"type":"b","minor":7,"access":"r"}"#;
        let rest = ["+c 10:200 rwm", "+b *:7 r"].map(String::from).to_vec();
        assert_eq!(rules_of(rules), [vec!["-a".into()], defaults(&["c 10:200 rwm"]), rest].concat());
        assert_eq!(told(rules), Ok(rules_of(rules)));
    }

    #[test]
    fn defaults_can_be_taken_away() {
        let rules = r#"{"allow":false},{"allow":false,"type":"c","major":10,"minor":200}"#;
        let wanted = [vec!["-a".into()], defaults(&[]), vec!["-c 10:200 rwm".into()]].concat();
        assert_eq!((rules_of(rules), told(rules)), (wanted.clone(), Ok(wanted)));
    }

    #[test]
    fn where_nothing_is_denied_nothing_has_to_be_said() {
        for rules in ["", r#"{"allow":false},{"allow":true}"#, r#"{"allow":true},{"allow":true,"type":"b"}"#] {
            assert_eq!(told(rules), Ok(Vec::new()));
        }
        assert_eq!((rules_of(""), rules_of(r#"{"allow":true}"#)), (vec![], vec!["+a".into()]));
        let some = r#"{"allow":true},{"allow":false,"type":"b","major":8}"#;
        assert_eq!((rules_of(some).join(" "), told(some)), ("+a -b 8:* rwm".into(), Ok(rules_of(some))));
    }

    #[test]
    fn version_1_has_lists_of_blocks_and_of_characters() {
        let rules = r#"{"allow":false},{"allow":true,"major":7,"access":"w"}"#;
        assert_eq!(rules_of(rules).pop().as_deref(), Some("+a 7:* w"));
        assert_eq!(told(rules).expect("good")[13..], ["+b 7:* w", "+c 7:* w"]);
    }

    #[test]
    fn version_1_cannot_deny_a_part() {
        let rules =
            |more: &str| format!(r#"{{"allow":false}},{{"allow":true,"type":"c","major":9,"access":"r"}},{more}"#);
        let part = rules(r#"{"allow":false,"type":"c","major":9,"minor":1,"access":"rw"}"#);
        let error = "config.json linux.resources.devices: cgroup version 1 cannot deny \"c 9:1 rw\" after \"c 9:* r\" was allowed";
        assert_eq!(told(&part), Err(error.into()));
        assert_eq!(rules_of(&part).pop().as_deref(), Some("-c 9:1 rw"));
        for fine in [
            r#"{"allow":false,"type":"c","major":9,"access":"r"}"#,
            r#"{"allow":false,"type":"c","major":9,"minor":1,"access":"wm"}"#,
            r#"{"allow":false,"type":"b","major":9,"minor":1}"#,
            r#"{"allow":false,"type":"c","major":8,"minor":1}"#,
        ] {
            assert!(told(&rules(fine)).is_ok(), "{fine}");
        }
    }

    #[test]
    fn mistakes() {
        for (rules, expected) in [
            (r#"{"type":"c"}"#, "devices[0].allow: is required"),
            (r#"{"allow":true,"type":"p"}"#, "devices[0].type: \"p\" is not a, b or c"),
            (r#"{"allow":true,"access":"rx"}"#, "devices[0].access: \"rx\" is not made of r, w and m"),
            (r#"{"allow":true},{"allow":true,"type":"b","minor":-2}"#, "devices[1].minor: -2 is no device number"),
        ] {
            assert_eq!(told(rules), Err(format!("config.json linux.resources.{expected}")));
        }
    }
}
