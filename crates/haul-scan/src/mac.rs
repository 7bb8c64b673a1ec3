use std::fmt;

/// The hardware address of an Ethernet or Wi-Fi interface (EUI-48).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of everybody on the link.
    pub(crate) const BROADCAST: Self = Self([0xff; 6]);

    /// The address with these six octets, in the order in which they are sent.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets, in the order in which they are sent.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether one machine can have it: it is neither zero nor the address of a group.
    pub(crate) fn is_of_one_machine(self) -> bool {
        self.0 != [0; 6] && self.0[0] & 1 == 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_written_in_lower_case_with_colons() {
        assert_eq!(Mac::new([0x02, 0, 0x0a, 0xff, 1, 2]).to_string(), "02:00:0a:ff:01:02");
    }

    #[test]
    fn zero_and_groups_are_no_machine() {
        assert!(Mac::new([2, 0, 0, 0, 0, 1]).is_of_one_machine());
        for octets in [[0; 6], [0xff; 6], [0x01, 0, 0x5e, 0, 0, 1]] {
            assert!(!Mac::new(octets).is_of_one_machine(), "{octets:?}");
        }
    }
}
