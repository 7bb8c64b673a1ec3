//! Download one file over the links of many machines.
