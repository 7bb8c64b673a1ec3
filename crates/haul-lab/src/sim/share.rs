/// One stream of bytes: what it could take, and the pipes that it passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// The most it takes, in bytes per second.
    pub(crate) limit: f64,
    /// The link, as an index among the pipes.
    pub(crate) link: usize,
    /// The uplink behind the link, as an index among the pipes.
    pub(crate) uplink: Option<usize>,
}

/// Shares pipes, given by their rates, max-min fairly: no flow can have more without taking from
/// one that has less. Flows of one link follow each other.
pub(crate) fn share(flows: &[Flow], pipes: &[f64]) -> Vec<f64> {
    if flows.iter().any(|flow| flow.uplink.is_some()) {
        return share_behind(flows, pipes);
    }
    let links = flows.chunk_by(|a, b| a.link == b.link);
    links.flat_map(|flows| share_link(flows, pipes[flows[0].link])).collect()
}

/// Shares one link: the flow that takes least first.
fn share_link(flows: &[Flow], mut left: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..flows.len()).collect();
    order.sort_by(|&a, &b| flows[a].limit.total_cmp(&flows[b].limit));
    let mut rates = vec![0.0; flows.len()];
    for (done, at) in order.into_iter().enumerate() {
        rates[at] = flows[at].limit.min(left / (flows.len() - done) as f64);
        left -= rates[at];
    }
    rates
}

/// Shares links and uplinks, level by level.
fn share_behind(flows: &[Flow], pipes: &[f64]) -> Vec<f64> {
    let mut left = pipes.to_vec();
    let mut rates = vec![0.0; flows.len()];
    let mut open: Vec<usize> = (0..flows.len()).collect();
    while !open.is_empty() {
        let mut users = vec![0.0; pipes.len()];
        for &at in &open {
            flows[at].pipes().for_each(|pipe| users[pipe] += 1.0);
        }
        let fair = |flow: &Flow| {
            flow.pipes().map(|pipe| left[pipe] / users[pipe]).fold(flow.limit, f64::min)
        };
        let level = open.iter().map(|&at| fair(&flows[at])).fold(f64::INFINITY, f64::min);
        let (full, rest): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|&&at| fair(&flows[at]) <= level * (1.0 + 1e-9));
        for &at in &full {
            rates[at] = level;
            flows[at].pipes().for_each(|pipe| left[pipe] = (left[pipe] - level).max(0.0));
        }
        open = rest;
    }
    rates
}

impl Flow {
    fn pipes(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.link).chain(self.uplink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(limit: f64, link: usize, uplink: Option<usize>) -> Flow {
        Flow { limit, link, uplink }
    }

    fn assert_shared(flows: &[Flow], pipes: &[f64], expected: &[f64]) {
        let rates = share(flows, pipes);
        let close =
            rates.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-6);
        assert!(close && rates.len() == expected.len(), "{rates:?}");
    }

    #[test]
    fn lanes_of_a_link_share_it_equally_and_leave_what_they_cannot_use() {
        let wide = f64::INFINITY;
        assert_shared(&[flow(wide, 0, None), flow(wide, 0, None)], &[10.0], &[5.0, 5.0]);
        assert_shared(&[flow(2.0, 0, None), flow(wide, 0, None)], &[10.0], &[2.0, 8.0]);
        assert_shared(&[flow(2.0, 0, None)], &[10.0], &[2.0]);
        assert_shared(&[flow(wide, 0, None)], &[0.0], &[0.0]);
        assert_shared(&[], &[10.0], &[]);
    }

    #[test]
    fn an_uplink_is_shared_by_all_lanes_behind_it() {
        let behind = |link| flow(f64::INFINITY, link, Some(2));
        assert_shared(&[behind(0), behind(1), behind(1)], &[9.0, 9.0, 9.0], &[3.0, 3.0, 3.0]);
        assert_shared(&[behind(0), behind(1), behind(1)], &[1.0, 9.0, 9.0], &[1.0, 4.0, 4.0]);
    }
}
