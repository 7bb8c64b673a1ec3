use crate::common::Ran;
use crate::stage::{Scheme, Stage, relay};
use haul_lab::servers::{OriginKind, ProxyKind};

#[test]
fn microsocks_leads_to_the_origin_by_address_and_by_name() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(microsocks) = relay(ProxyKind::Microsocks, None) else { return };
    let address = microsocks.address();
    stage.survives_the_leaders_death(Scheme::Plain, &["--proxy", &format!("socks5://{address}")]);
    stage.survives_the_leaders_death(Scheme::Tls, &["--proxy", &format!("socks5h://{address}")]);
    let named = stage.url(Scheme::Tls).replace("127.0.0.1", "localhost");
    let proxy = format!("socks5h://{address}");
    stage.is_exact(&Ran::of(&mut stage.leader(&[&named, "--proxy", &proxy])));
}

#[test]
fn a_socks_proxy_that_wants_a_password_gets_it_or_is_told_of() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let Some(microsocks) = relay(ProxyKind::Microsocks, Some(("me", "pw"))) else { return };
    let (url, address) = (stage.url(Scheme::Plain), microsocks.address());
    for wrong in [format!("socks5://{address}"), format!("socks5://me:no-pw@{address}")] {
        let failed = stage.fails(&[&url, "--proxy", &wrong], 24);
        assert!(failed.contains(&address.to_string()) && !failed.contains("no-pw"), "{failed}");
    }
    let right = format!("socks5://me:pw@{address}");
    stage.is_exact(&Ran::of(&mut stage.leader(&[&url, "--proxy", &right])));
}
