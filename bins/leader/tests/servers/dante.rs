use crate::stage::{Scheme, Stage, relay};
use haul_lab::servers::{OriginKind, ProxyKind};

#[test]
fn dante_leads_to_the_origin() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(dante) = relay(ProxyKind::Dante, None) else { return };
    let proxy = format!("socks5h://{}", dante.address());
    for scheme in [Scheme::Plain, Scheme::Tls] {
        stage.survives_the_leaders_death(scheme, &["--proxy", &proxy]);
    }
    assert!(dante.log().contains("connect"), "{}", dante.log());
}

#[test]
fn an_origin_that_dante_cannot_reach_is_told_as_such() {
    let Some(mut stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(dante) = relay(ProxyKind::Dante, None) else { return };
    stage.server.kill();
    let proxy = format!("socks5://{}", dante.address());
    let failed = stage.fails(&[&stage.url(Scheme::Plain), "--proxy", &proxy], 6);
    assert!(failed.contains("does not lead to the origin"), "{failed}");
}
