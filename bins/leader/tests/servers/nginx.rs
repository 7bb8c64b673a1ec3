use crate::stage::{Scheme, Stage};
use haul_lab::servers::OriginKind;
use std::collections::BTreeSet;

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
    assert!(requests.len() > 4 && requests.iter().all(|line| line.ends_with("\tHTTP/2.0")));
    let connection = |line: &String| line.split('\t').next().map(str::to_owned);
    let connections: BTreeSet<_> = requests.iter().filter_map(connection).collect();
    assert!(connections.len() <= 4, "{} connections by two leaders", connections.len());
}

#[test]
fn a_file_of_nginx_survives_the_death_of_the_server() {
    let Some(mut stage) = Stage::of(OriginKind::Nginx) else { return };
    stage.survives_the_servers_death(Scheme::Plain, &[]);
    stage.survives_the_servers_death(Scheme::Tls, &[]);
    stage.survives_the_servers_death(Scheme::Tls, &["--http2"]);
}
