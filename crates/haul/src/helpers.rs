use crate::place::Place;
use crate::{Error, ErrorKind};
use std::str::FromStr;

/// Who is asked for help.
///
/// Machines are written as an address or a name, each with or without a port, or as `srv:DOMAIN`
/// for those that the DNS names in the SRV records `_haul._udp.DOMAIN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Helpers {
    /// Every machine that can be found on the networks of this one, and those of the roster: the
    /// file `roster` in the folder of [`Home`](crate::Home), with one machine a line.
    #[default]
    Auto,
    /// Nobody.
    None,
    /// These machines and no others.
    Only(Vec<String>),
    /// Everybody of [`Helpers::Auto`], and these machines.
    Also(Vec<String>),
}

impl Helpers {
    /// Every machine that can be found.
    pub const fn auto() -> Self {
        Self::Auto
    }

    /// Nobody: the own link does it alone.
    pub const fn none() -> Self {
        Self::None
    }

    /// These machines and no others.
    pub fn only<T: Into<String>>(machines: impl IntoIterator<Item = T>) -> Self {
        Self::Only(machines.into_iter().map(Into::into).collect())
    }

    /// Every machine that can be found, and these.
    pub fn also<T: Into<String>>(machines: impl IntoIterator<Item = T>) -> Self {
        Self::Also(machines.into_iter().map(Into::into).collect())
    }

    /// Whether machines are looked for that nobody named.
    pub(crate) const fn finds_others(&self) -> bool {
        matches!(self, Self::Auto | Self::Also(_))
    }

    /// Where those are that were named.
    pub(crate) fn places(&self) -> Result<Vec<Place>, Error> {
        let named = match self {
            Self::Auto | Self::None => &[][..],
            Self::Only(machines) | Self::Also(machines) => machines,
        };
        named
            .iter()
            .map(|machine| machine.parse().map_err(|bad| unclear(format!("{bad}"))))
            .collect()
    }
}

/// `none`; or `auto` and machines, separated by commas.
impl FromStr for Helpers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "none" {
            return Ok(Self::None);
        }
        let (auto, machines): (Vec<&str>, Vec<&str>) =
            text.split(',').map(str::trim).partition(|&word| word == "auto");
        if machines.contains(&"none") {
            return Err(unclear("`none` stands alone".to_owned()));
        }
        let helpers = match (auto.is_empty(), machines.is_empty()) {
            (false, true) => Self::Auto,
            (false, false) => Self::also(machines),
            (true, _) => Self::only(machines),
        };
        helpers.places()?;
        Ok(helpers)
    }
}

fn unclear(because: String) -> Error {
    Error::new(ErrorKind::Usage, "the helpers cannot be read", because).with_remedy(
        "write auto, none, or addresses, names and srv:DOMAIN with commas between them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_read_as_the_contract_writes_them() {
        assert_eq!("auto".parse(), Ok(Helpers::Auto));
        assert_eq!("none".parse(), Ok(Helpers::None));
        assert_eq!("10.0.0.2, ward-3:4290".parse(), Ok(Helpers::only(["10.0.0.2", "ward-3:4290"])));
        assert_eq!("srv:example.org".parse(), Ok(Helpers::only(["srv:example.org"])));
        assert_eq!("auto, srv:example.org".parse(), Ok(Helpers::also(["srv:example.org"])));
        assert_eq!("10.0.0.2,auto".parse(), Ok(Helpers::also(["10.0.0.2"])));
    }

    #[test]
    fn what_names_nobody_is_refused_when_it_is_read_and_when_a_job_is_built() {
        for text in ["", "10.0.0.2,,", "none,10.0.0.2", "auto,none", "srv:", "10.0.0.2:x"] {
            let error = text.parse::<Helpers>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
        }
        assert_eq!(Helpers::only(["a b"]).places().unwrap_err().kind(), ErrorKind::Usage);
    }
}
