use crate::stage::{Scheme, Stage};
use haul_lab::servers::OriginKind;

#[test]
fn a_file_of_nginx_survives_the_death_of_the_leader() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    stage.survives_the_leaders_death(Scheme::Plain, &[]);
    stage.survives_the_leaders_death(Scheme::Tls, &[]);
}

#[test]
fn a_file_of_nginx_comes_over_http2_where_that_is_asked_for() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    stage.survives_the_leaders_death(Scheme::Tls, &["--http2"]);
    let requests = stage.server.requests();
    assert!(requests.len() > 1, "{requests:?}");
    assert!(requests.iter().all(|line| line.ends_with("\tHTTP/2.0")), "{requests:?}");
}

#[test]
fn a_file_of_nginx_survives_the_death_of_the_server() {
    let Some(mut stage) = Stage::of(OriginKind::Nginx) else { return };
    stage.survives_the_servers_death(Scheme::Plain, &[]);
    stage.survives_the_servers_death(Scheme::Tls, &[]);
    stage.survives_the_servers_death(Scheme::Tls, &["--http2"]);
}
