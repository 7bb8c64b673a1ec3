//! Who fetches which span: a pure state machine.
