use super::*;

#[test]
fn errors_name_the_path() {
    for (text, error) in [
        (r#"{"process":{"rlimits":[{},{},{},{"type":3}]}}"#, "process.rlimits[3].type: expected a string, found 3"),
        (r#"{"mounts":[{},{},{"options":"ro"}]}"#, "mounts[2].options: expected an array, found a string"),
    ] {
        let found = parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(found, format!("config.json {error}"));
    }
}
