pub fn trials(_: &[crate::Attack]) -> Vec<libtest_mimic::Trial> {
    vec![]
}
