use crate::{Error, ErrorKind};
use haul_link::PORT;
use std::net::SocketAddr;
use std::str::FromStr;
use tokio::net::lookup_host;

/// Who is asked for help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Helpers {
    /// Every machine that can be found on the networks of this one.
    #[default]
    Auto,
    /// Nobody.
    None,
    /// These machines: addresses or names, each with or without a port.
    Only(Vec<String>),
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
}

/// `auto`, `none`, or machines separated by commas.
impl FromStr for Helpers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            list => {
                let machines: Vec<&str> = list.split(',').map(str::trim).collect();
                if machines.iter().any(|machine| machine.is_empty()) {
                    return Err(Error::new(
                        ErrorKind::Usage,
                        "the helpers cannot be read",
                        format!("`{text}` names nobody"),
                    )
                    .with_remedy("write auto, none, or addresses separated by commas"));
                }
                Ok(Self::only(machines))
            }
        }
    }
}

/// The addresses of machines that a user named, all of which must be found.
pub(crate) async fn resolve_all(machines: &[String]) -> Result<Vec<SocketAddr>, Error> {
    let mut found = Vec::new();
    for machine in machines {
        found.extend(resolve(machine).await?);
    }
    Ok(found)
}

async fn resolve(machine: &str) -> Result<Vec<SocketAddr>, Error> {
    let unknown = |because: String| {
        Error::new(ErrorKind::Network, format!("the helper {machine} was not found"), because)
            .with_remedy("check the name, or give its address")
    };
    if let Ok(address) = machine.parse() {
        return Ok(vec![address]);
    }
    let (name, port) = match machine.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) if !name.contains(':') => (name, port),
        _ => (machine, PORT),
    };
    let found = lookup_host((name, port)).await.map_err(|error| unknown(error.to_string()))?;
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_read_as_the_contract_writes_them() {
        assert_eq!("auto".parse(), Ok(Helpers::Auto));
        assert_eq!("none".parse(), Ok(Helpers::None));
        assert_eq!("10.0.0.2, ward-3:4290".parse(), Ok(Helpers::only(["10.0.0.2", "ward-3:4290"])));
        assert!("".parse::<Helpers>().is_err() && "10.0.0.2,,".parse::<Helpers>().is_err());
    }
}
