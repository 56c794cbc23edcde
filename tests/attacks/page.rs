//! `docs/attacks.md` and the tests name each other: every advisory in it a test that exists, or a reason why there is
//! none; and every attack is in it.

use libtest_mimic::Trial;

use crate::Attack;

const PAGE: &str = include_str!("../../docs/attacks.md");

/// Tests that are attacks but are about more than that live here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("apparmor", include_str!("../conformance/apparmor.rs")),
    ("cgroup", include_str!("../conformance/cgroup.rs")),
    ("device_rules", include_str!("../conformance/device_rules.rs")),
    ("errors", include_str!("../conformance/errors.rs")),
    ("exe", include_str!("../conformance/exe.rs")),
    ("exec", include_str!("../conformance/exec.rs")),
    ("hooks", include_str!("../conformance/hooks.rs")),
    ("live_mounts", include_str!("../conformance/live_mounts.rs")),
    ("masks", include_str!("../conformance/masks.rs")),
    ("mounts", include_str!("../conformance/mounts.rs")),
    ("namespaces", include_str!("../conformance/namespaces.rs")),
    ("notify", include_str!("../conformance/notify.rs")),
    ("process", include_str!("../conformance/process.rs")),
    ("rootless", include_str!("../conformance/rootless.rs")),
    ("supervision", include_str!("../conformance/supervision.rs")),
    ("terminal", include_str!("../conformance/terminal.rs")),
];

pub fn trials(attacks: &[Attack]) -> Vec<Trial> {
    let names: Vec<&str> = attacks.iter().map(|attack| attack.case.name()).collect();
    let rows = advisories();
    let mistakes: Vec<String> = rows.iter().filter_map(|row| mistake(row, &names)).collect();
    let absent: Vec<&str> = names.iter().copied().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    let few = rows.len() < 56;
    println!("docs/attacks.md: {} advisories and hardenings, {} tests", rows.len(), names.len());
    vec![
        Trial::test("page::every_advisory_names_its_tests", move || {
            if few {
                return Err("there were more".into());
            }
            if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n").into()) }
        }),
        Trial::test("page::every_attack_is_there", move || {
            if absent.is_empty() { Ok(()) } else { Err(format!("not on the page: {absent:?}").into()) }
        }),
    ]
}

/// The cells of the tables' rows.
fn advisories() -> Vec<Vec<&'static str>> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Advisory"));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What is wrong with a row: its last cell has to be tests that exist, or begin with "None:".
fn mistake(row: &[&str], names: &[&str]) -> Option<String> {
    let [advisory, whose, what, defence, tests] = row else { return Some(format!("not five cells: {row:?}")) };
    if [advisory, whose, what, defence, tests].iter().any(|cell| cell.is_empty()) {
        return Some(format!("{advisory}: an empty cell"));
    }
    if tests.strip_prefix("None:").is_some_and(|reason| reason.len() > 10) {
        return None;
    }
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return Some(format!("{advisory}: neither a test nor a reason"));
    }
    let absent = named.into_iter().find(|name| !names.contains(name) && !is_elsewhere(name))?;
    Some(format!("{advisory}: there is no test {absent}"))
}

fn is_elsewhere(name: &str) -> bool {
    let Some((module, test)) = name.split_once("::") else { return false };
    ELSEWHERE.iter().any(|(file, text)| *file == module && text.contains(&format!("case!({test})")))
}
