//! haul's frames and asks as bytes.
