//! Identities of API objects as the planner holds them: 128 bits.

/// The identity of a UID. A UUID is taken as it is, with or without dashes; anything else (static pods
/// may have other UIDs) is hashed, so that the same UID always gives the same identity.
pub fn of_uid(uid: &str) -> u128 {
    uuid(uid).unwrap_or_else(|| fnv(uid.as_bytes()))
}

/// The target that a pod's UID stands for.
pub fn target_id(uid: &str) -> planner::TargetId {
    planner::TargetId(of_uid(uid))
}

/// The identity of an object that has no UID, such as a config in a file: its namespace and name.
pub fn of_name(namespace: &str, name: &str) -> u128 {
    // A slash is in neither, so that two different pairs never give the same text.
    fnv(format!("{namespace}/{name}").as_bytes())
}

fn uuid(uid: &str) -> Option<u128> {
    let dashes_fit = uid.len() == 32 || [8, 13, 18, 23].iter().all(|at| uid.as_bytes().get(*at) == Some(&b'-'));
    let digits: String = uid.chars().filter(|one| *one != '-').collect();
    let is_hex = digits.len() == 32 && digits.bytes().all(|one| one.is_ascii_hexdigit());
    (is_hex && dashes_fit)
        .then(|| u128::from_str_radix(&digits, 16).ok())
        .flatten()
}

/// FNV-1a with 128 bits: it tells apart, it protects nothing.
fn fnv(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes
        .iter()
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_keeps_its_bits_in_either_form() {
        let bits = 0x1f0c_9c6a_3a4b_4f4e_9a51_0123_4567_89ab;
        assert_eq!(of_uid("1f0c9c6a-3a4b-4f4e-9a51-0123456789ab"), bits);
        assert_eq!(of_uid("1f0c9c6a3a4b4f4e9a510123456789ab"), bits);
    }

    #[test]
    fn anything_else_is_hashed_and_told_apart() {
        let others = [
            "",
            "x",
            "y",
            "1f0c9c6a-3a4b-4f4e-9a51-0123456789a",
            "1f0c9c6a-3a4b-4f4e-9a510123456789-ab",
            "zz",
        ];
        let ids: std::collections::BTreeSet<u128> = others.iter().map(|uid| of_uid(uid)).collect();
        assert_eq!(ids.len(), others.len());
        assert_eq!(of_name("a", "b"), of_name("a", "b"));
        assert_ne!(of_name("a", "bc"), of_name("ab", "c"));
    }
}
