use super::Subject;

pub(super) fn suspicion(_: &Subject<'_>) -> Option<u8> {
    None
}
