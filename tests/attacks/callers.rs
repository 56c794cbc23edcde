pub fn attacks() -> Vec<crate::Attack> {
    vec![]
}
