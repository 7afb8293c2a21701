//! What a table's rows come to, in whatever order they are read.

use std::fmt;

/// The number of rows, and the sum of their SHA-256 digests modulo 2^256. Engines sort text differently, so the
/// order must not count; in an XOR equal rows would cancel out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many rows.
    pub rows: u64,
    /// The lowest part first.
    sum: [u64; 4],
}

impl Fingerprint {
    /// Adds a row by its bytes.
    pub fn add(&mut self, row: &[u8]) {
        let digest = claviger_crypto::sha256(row);
        let mut sum = [0; 4];
        for (part, bytes) in sum.iter_mut().zip(digest.rchunks_exact(8)) {
            *part = bytes.iter().fold(0, |part, byte| part << 8 | u64::from(*byte));
        }
        self.join(Self { rows: 1, sum });
    }

    /// The sum, the highest byte first.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (part, place) in self.sum.iter().zip(bytes.rchunks_exact_mut(8)) {
            place.copy_from_slice(&part.to_be_bytes());
        }
        bytes
    }

    /// Adds the rows of another.
    pub(super) fn join(&mut self, other: Self) {
        self.rows += other.rows;
        let mut carry = false;
        for (part, more) in self.sum.iter_mut().zip(other.sum) {
            let (sum, over) = part.overflowing_add(more);
            let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
            (*part, carry) = (sum, over || over_by_carry);
        }
    }
}

/// The first 16 digits of the sum, for people to compare.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., first] = self.sum;
        write!(f, "{first:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> Fingerprint {
        let mut all = Fingerprint::default();
        rows.iter().for_each(|row| all.add(row.as_bytes()));
        all
    }

    #[test]
    fn order_does_not_count_and_all_else_does() {
        assert_eq!(of(&["a", "b", "c"]), of(&["c", "a", "b"]));
        let mut halves = of(&["a", "b"]);
        halves.join(of(&["c"]));
        assert_eq!(halves, of(&["a", "b", "c"]));
        let all = [&[][..], &["a"], &["b"], &["a", "a"], &["b", "b"], &["a", "b"], &["a", "a", "a"], &["ab"]];
        for (number, rows) in all.iter().enumerate() {
            for other in all.iter().skip(number + 1) {
                assert_ne!(of(rows).sum, of(other).sum, "{rows:?} {other:?}");
            }
        }
    }

    #[test]
    fn it_is_the_digest_and_carries() {
        // SHA-256 of "abc" begins and ends so (FIPS 180-4).
        let abc = of(&["abc"]);
        assert_eq!(
            (abc.to_string().as_str(), abc.sum.first()),
            ("ba7816bf8f01cfea", Some(&0xb410_ff61_f200_15ad))
        );
        let full = Fingerprint { rows: 1, sum: [u64::MAX; 4] };
        let mut sum = full;
        sum.join(Fingerprint { rows: 1, sum: [1, 0, 0, 0] });
        assert_eq!(sum, Fingerprint { rows: 2, sum: [0; 4] });
        sum.join(full);
        sum.join(full);
        assert_eq!(sum.sum, [u64::MAX - 1, u64::MAX, u64::MAX, u64::MAX]);
    }
}
