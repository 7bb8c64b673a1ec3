//! Benches of haul's chunk pipeline; each is a program beside this file.
