//! Part file and journal: reassembly, resume, publish.
