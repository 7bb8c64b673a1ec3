use crate::stage::{Scheme, Stage};
use haul_lab::servers::OriginKind;

#[test]
fn a_file_of_lighttpd_survives_the_death_of_the_leader() {
    let Some(stage) = Stage::of(OriginKind::Lighttpd) else { return };
    stage.survives_the_leaders_death(Scheme::Plain, &[]);
    stage.survives_the_leaders_death(Scheme::Tls, &[]);
}

#[test]
fn a_file_of_lighttpd_survives_the_death_of_the_server() {
    let Some(mut stage) = Stage::of(OriginKind::Lighttpd) else { return };
    stage.survives_the_servers_death(Scheme::Plain, &[]);
    stage.survives_the_servers_death(Scheme::Tls, &[]);
}
