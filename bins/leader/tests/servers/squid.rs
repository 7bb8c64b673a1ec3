use crate::stage::{Scheme, Stage, relay};
use haul_lab::servers::{OriginKind, ProxyKind};

#[test]
fn squid_passes_on_what_is_plain_and_opens_a_tunnel_for_the_rest() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(squid) = relay(ProxyKind::Squid, None) else { return };
    let proxy = format!("http://{}", squid.address());
    stage.survives_the_leaders_death(Scheme::Plain, &["--proxy", &proxy]);
    assert!(squid.log().contains("GET http://127.0.0.1:"), "{}", squid.log());
    assert!(!squid.log().contains("CONNECT"), "{}", squid.log());
    stage.survives_the_leaders_death(Scheme::Tls, &["--proxy", &proxy]);
    assert!(squid.log().contains("CONNECT 127.0.0.1:"), "{}", squid.log());
}

#[test]
fn an_origin_that_squid_cannot_reach_is_told_with_the_proxys_name() {
    let Some(mut stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(squid) = relay(ProxyKind::Squid, None) else { return };
    stage.server.kill();
    let proxy = squid.address().to_string();
    let failed = stage.fails(&[&stage.url(Scheme::Tls), "--proxy", &proxy], 6);
    assert!(failed.contains(&format!("the proxy {proxy} opens no tunnel")), "{failed}");
    assert!(failed.contains("--no-proxy"), "{failed}");
}
