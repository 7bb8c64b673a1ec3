use crate::home::machine_name;
use crate::place::Place;
use crate::{Error, Helpers, Home};
use haul_link::{PORT, PORTS};
use std::ops::RangeInclusive;

/// Where and how helpers are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) home: Home,
    pub(crate) helpers: Helpers,
    /// Where those are that the user named.
    pub(crate) places: Vec<Place>,
    pub(crate) scan: bool,
    pub(crate) interfaces: Vec<String>,
    pub(crate) ports: RangeInclusive<u16>,
    pub(crate) ask_port: u16,
    pub(crate) machine: String,
    pub(crate) group_only: bool,
}

impl Search {
    /// Everywhere that these helpers can be, on the usual ports.
    pub(crate) fn of(helpers: Helpers, home: Home) -> Result<Self, Error> {
        Ok(Self {
            home,
            places: helpers.places()?,
            helpers,
            scan: true,
            interfaces: Vec::new(),
            ports: PORTS,
            ask_port: PORT,
            machine: machine_name(),
            group_only: false,
        })
    }
}
