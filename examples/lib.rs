//! Examples of haul; each is a program beside this file.
