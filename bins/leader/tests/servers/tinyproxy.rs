use crate::common::Ran;
use crate::stage::{Scheme, Stage, relay};
use haul_lab::servers::{OriginKind, ProxyKind};

#[test]
fn tinyproxy_passes_on_what_is_plain_and_opens_a_tunnel_for_the_rest() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(tinyproxy) = relay(ProxyKind::Tinyproxy, None) else { return };
    let proxy = format!("http://{}", tinyproxy.address());
    for scheme in [Scheme::Plain, Scheme::Tls] {
        stage.survives_the_leaders_death(scheme, &["--proxy", &proxy]);
    }
    assert!(tinyproxy.log().contains("CONNECT 127.0.0.1:"), "{}", tinyproxy.log());
}

#[test]
fn a_proxy_that_wants_a_password_gets_it_or_is_told_of() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(tinyproxy) = relay(ProxyKind::Tinyproxy, Some(("me", "pw"))) else { return };
    let address = tinyproxy.address();
    for scheme in [Scheme::Plain, Scheme::Tls] {
        let url = stage.url(scheme);
        for wrong in [address.to_string(), format!("http://me:no-pw@{address}")] {
            let failed = stage.fails(&[&url, "--proxy", &wrong], 24);
            assert!(failed.contains(&address.to_string()) && !failed.contains("no-pw"), "{failed}");
        }
        let right = format!("http://me:pw@{address}");
        stage.is_exact(&Ran::of(&mut stage.leader(&[&url, "--proxy", &right])));
    }
}

#[test]
fn the_environment_names_the_proxy_and_what_needs_none() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(tinyproxy) = relay(ProxyKind::Tinyproxy, None) else { return };
    let url = stage.url(Scheme::Plain);
    let proxy = tinyproxy.address().to_string();
    let with = |variables: &[(&str, &str)], more: &[&str]| {
        let before = tinyproxy.log().len();
        let mut leader = stage.leader(&[&[url.as_str()], more].concat());
        stage.is_exact(&Ran::of(leader.envs(variables.iter().copied())));
        tinyproxy.log().len() > before
    };
    assert!(with(&[("http_proxy", &proxy)], &[]));
    assert!(with(&[("HTTP_PROXY", &proxy)], &[]));
    assert!(with(&[("ALL_PROXY", &proxy), ("no_proxy", "10.0.0.0/8,example.org")], &[]));
    assert!(!with(&[("HTTP_PROXY", &proxy), ("REQUEST_METHOD", "GET")], &[]));
    assert!(!with(&[("http_proxy", &proxy), ("NO_PROXY", "127.0.0.0/8")], &[]));
    assert!(!with(&[("http_proxy", &proxy)], &["--no-proxy"]));
    assert!(!with(&[("https_proxy", &proxy)], &[]));
}
