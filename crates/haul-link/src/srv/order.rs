//! In which order machines are to be tried (RFC 2782, "Usage rules").

use super::Service;

/// The lowest priority number first; within one priority by chance, in proportion to the weights.
/// `chance` gives a number from zero to the one it is given, both included.
pub(crate) fn in_order(
    mut services: Vec<Service>,
    mut chance: impl FnMut(u32) -> u32,
) -> Vec<Service> {
    // Those of weight zero are looked at first, so that they have a small chance.
    services.sort_by_key(|service| (service.priority, service.weight > 0));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first().map(|service| service.priority) {
        let equals = services.partition_point(|service| service.priority == first);
        let drawn = drawn(&services[..equals], &mut chance);
        ordered.push(services.remove(drawn));
    }
    ordered
}

/// Which one of these is next.
fn drawn(equals: &[Service], chance: &mut impl FnMut(u32) -> u32) -> usize {
    let whole = equals.iter().map(|service| u32::from(service.weight)).sum();
    let mark = chance(whole);
    let mut sum = 0;
    let reaches = |service: &Service| {
        sum += u32::from(service.weight);
        sum >= mark
    };
    equals.iter().position(reaches).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service(priority: u16, weight: u16, port: u16) -> Service {
        Service { priority, weight, port, host: "a.test".parse().unwrap() }
    }

    fn ports(services: &[Service]) -> Vec<u16> {
        services.iter().map(|service| service.port).collect()
    }

    #[test]
    fn within_a_priority_a_machine_comes_first_in_proportion_to_its_weight() {
        let all = || vec![service(1, 60, 1), service(1, 0, 2), service(1, 20, 3)];
        let firsts: Vec<u16> = (0..=80).map(|mark| in_order(all(), |_| mark)[0].port).collect();
        let came = |port| firsts.iter().filter(|first| **first == port).count();
        assert_eq!([came(1), came(2), came(3)], [60, 1, 20]);
    }

    #[test]
    fn a_higher_number_comes_later_whatever_its_weight() {
        let all = vec![service(20, u16::MAX, 1), service(10, 0, 2), service(0, 1, 3)];
        assert_eq!(ports(&in_order(all, |whole| whole)), [3, 2, 1]);
    }

    proptest! {
        #[test]
        fn every_machine_is_in_the_order_once_and_priorities_rise(
            facts in prop::collection::vec((0..4_u16, any::<u16>()), 0..40),
            marks in prop::collection::vec(any::<u32>(), 1..8),
        ) {
            let all: Vec<Service> =
                (0..).zip(&facts).map(|(port, &(priority, weight))| service(priority, weight, port)).collect();
            let mut marks = marks.iter().cycle();
            let ordered = in_order(all.clone(), |whole| {
                u32::try_from(u64::from(*marks.next().unwrap()) % (u64::from(whole) + 1)).unwrap()
            });
            prop_assert!(ordered.is_sorted_by_key(|service| service.priority));
            let mut once = ports(&ordered);
            once.sort_unstable();
            prop_assert_eq!(once, ports(&all));
        }
    }
}
