//! The attempts of one request: turns over providers and models, fall-backs, exclusions, and what `explain` foresees.

use std::collections::{HashMap, HashSet};

use polyport_routing::walk::Attempt;
use polyport_routing::{
    Barred, Catalog, Fleet, Hints, Lease, Member, Millis, Pool, ProviderSpec, Resolved, RestPolicy, State, Strategy,
    TargetSpec, Trouble, Walk,
};
use polyport_types::{FaultClass as C, Protocol};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

const T0: Millis = 1_700_000_000_000;

fn spec(name: &str, keys: usize) -> ProviderSpec {
    let members = (0..keys).map(|key| Member::new(format!("{name}-{key}"))).collect();
    ProviderSpec { name: name.into(), members, strategy: Strategy::RoundRobin, policy: RestPolicy::default() }
}

fn fleet(given: &[(&str, usize)]) -> Fleet {
    Fleet::new(given.iter().map(|&(name, keys)| spec(name, keys)).collect(), None, T0)
}

fn catalog(pools: Vec<Pool>) -> Catalog {
    let providers = ["A", "B", "C"].into_iter();
    let catalog =
        providers.fold(Catalog::default(), |catalog, name| catalog.with_provider(name, Protocol::Chat, vec![], vec![]));
    pools.into_iter().fold(catalog, Catalog::with_pool).check().expect("the pools are right")
}

fn pool(name: &str, targets: &[&str]) -> Pool {
    Pool::new(name.to_owned(), targets.iter().map(|&to| TargetSpec::new(to.to_owned())).collect())
}

fn resolve(catalog: &Catalog, name: &str) -> Resolved {
    catalog.resolve(name, Hints::default()).expect("the name is known")
}

fn shown(lease: &Lease) -> String {
    format!("{}.{}", lease.provider().name(), lease.model())
}

/// The first attempts of so many requests.
fn firsts(catalog: &Catalog, fleet: &Fleet, name: &str, now: Millis, requests: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..requests {
        let mut walk = Walk::new(resolve(catalog, name), fleet);
        order.push(shown(&walk.next_target(fleet, now).expect("something can be tried")));
    }
    order
}

fn share(order: &[String]) -> HashMap<&str, usize> {
    order.iter().fold(HashMap::new(), |mut counts, name| {
        *counts.entry(name.as_str()).or_default() += 1;
        counts
    })
}

#[test]
fn s3_02_providers_take_turns_first_then_the_models_of_each() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m1", "A/m2", "B/m1"])]);
    let order = firsts(&catalog, &fleet, "p", T0, 8);
    assert_eq!(order, ["A.m1", "B.m1", "A.m2", "B.m1", "A.m1", "B.m1", "A.m2", "B.m1"]);
}

#[test]
fn requests_to_other_pools_do_not_disturb_the_turns() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m1", "A/m2", "B/m1"]), pool("q", &["B/x", "A/x"])]);
    let mut order = Vec::new();
    for _ in 0..4 {
        order.extend(firsts(&catalog, &fleet, "p", T0, 1));
        firsts(&catalog, &fleet, "q", T0, 3);
    }
    assert_eq!(order, ["A.m1", "B.m1", "A.m2", "B.m1"]);
}

#[test]
fn s3_03_what_rests_is_passed_over_and_its_share_goes_to_all_others() {
    let fleet = fleet(&[("A", 1), ("B", 1), ("C", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m", "B/m", "C/m"])]);
    let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
    let trouble = Trouble { retry_at: Some(T0 + 3000), ..Trouble::new(C::RateLimited) };
    walk.next_target(&fleet, T0).unwrap().failed(&trouble, T0, 0);
    let order = firsts(&catalog, &fleet, "p", T0 + 2999, 100);
    assert_eq!(share(&order), HashMap::from([("B.m", 50), ("C.m", 50)]));
    assert!(firsts(&catalog, &fleet, "p", T0 + 3000, 3).contains(&"A.m".to_owned()));
}

#[test]
fn credentials_then_targets_then_pools_and_then_nothing() {
    let fleet = fleet(&[("A", 2), ("B", 0), ("C", 1)]);
    let fallback = Pool { fallbacks: vec!["q".into()], ..pool("p", &["A/m", "B/m"]) };
    let catalog = catalog(vec![fallback, pool("q", &["C/m", "A/m"])]);
    let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
    let mut seen = Vec::new();
    let mut lease = walk.next_target(&fleet, T0);
    while let Some(held) = lease {
        seen.push((shown(&held), held.credential()));
        lease = walk.next_credential(&fleet, T0).or_else(|| walk.next_target(&fleet, T0));
    }
    assert_eq!(
        seen,
        [
            ("A.m".to_owned(), Some(0)),
            ("A.m".to_owned(), Some(1)),
            ("B.m".to_owned(), None),
            ("C.m".to_owned(), Some(0)),
        ]
    );
    assert!(walk.next_target(&fleet, T0).is_none());
}

#[test]
fn an_empty_plan_says_when_and_why() {
    let fleet = fleet(&[("A", 2), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m", "B/m"])]);
    for (after, class) in [(9000, C::RateLimited), (7000, C::AccountBroken), (8000, C::RateLimited)] {
        let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
        let mut lease = walk.next_target(&fleet, T0).unwrap();
        lease.failed(&Trouble { retry_at: Some(T0 + after), ..Trouble::new(class) }, T0, 0);
    }
    let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
    assert!(walk.next_target(&fleet, T0 + 1).is_none());
    let nothing = walk.nothing(&fleet, T0 + 1);
    assert_eq!((nothing.retry_at, nothing.cause), (Some(T0 + 7000), Some(C::AccountBroken)));
    let excluded = walk.excluded(&fleet, T0 + 1, 100);
    assert_eq!(excluded.len(), 3);
    assert!(excluded.iter().all(|entry| matches!(entry.why, Some(Barred::Cooling { .. } | Barred::Exhausted { .. }))));
    assert_eq!(walk.excluded(&fleet, T0 + 1, 2).len(), 2);
}

#[test]
fn what_fails_often_or_is_far_slower_stands_back_and_is_tried_now_and_then() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m", "B/m"])]);
    for step in 0..40 {
        let mut lease = Walk::new(resolve(&catalog, "p"), &fleet).next_target(&fleet, T0 + step).unwrap();
        match &*lease.provider().name().clone() {
            "A" if step % 8 == 0 => drop(lease.failed(&Trouble::new(C::ServerError), T0 + step, 0)),
            _ => lease.succeeded(Some(200), 100, T0 + step),
        }
    }
    let order = firsts(&catalog, &fleet, "p", T0 + 100, 160);
    let of_a = share(&order).get("A.m").copied().unwrap_or_default();
    assert!((5..=15).contains(&of_a), "{of_a}");
    // Half a minute later nothing is known against it any more.
    let order = firsts(&catalog, &fleet, "p", T0 + 60_000, 100);
    assert_eq!(share(&order)["A.m"], 50);
    let slow = fleet_with_latency(&catalog);
    let order = firsts(&catalog, &slow, "p", T0 + 100, 160);
    assert!(share(&order)["B.m"] >= 145, "{:?}", share(&order));
}

#[test]
fn what_answers_errors_is_passed_over_by_all_and_tried_when_nothing_else_is_left() {
    let fleet = fleet(&[("A", 1), ("B", 1), ("C", 1)]);
    let fallback = Pool { fallbacks: vec!["q".into()], ..pool("p", &["A/m", "B/m"]) };
    let catalog = catalog(vec![fallback, pool("q", &["C/m"]), pool("a", &["A/m"])]);
    let fail = |name: &str, class: C, now: Millis| {
        let mut lease = Walk::new(resolve(&catalog, name), &fleet).next_target(&fleet, now).unwrap();
        lease.failed(&Trouble::new(class), now, 0);
    };
    for step in 0..5 {
        fail("a", C::ServerError, T0 + step);
    }
    assert_eq!(share(&firsts(&catalog, &fleet, "p", T0 + 10, 20)), HashMap::from([("B.m", 20)]));
    // Where it is the only one it is asked, by everybody.
    assert_eq!(share(&firsts(&catalog, &fleet, "a", T0 + 10, 20)), HashMap::from([("A.m", 20)]));
    // A fall-back that is well goes before it, …
    let trouble = Trouble { retry_at: Some(T0 + 3000), ..Trouble::new(C::RateLimited) };
    Walk::new(resolve(&catalog, "p"), &fleet).next_target(&fleet, T0 + 11).unwrap().failed(&trouble, T0 + 11, 0);
    assert_eq!(share(&firsts(&catalog, &fleet, "p", T0 + 12, 20)), HashMap::from([("C.m", 20)]));
    // … and when that fails as well, it is tried in the same request.
    let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
    let order: Vec<String> =
        std::iter::from_fn(|| walk.next_target(&fleet, T0 + 12)).map(|lease| shown(&lease)).collect();
    assert_eq!(order, ["C.m", "A.m"]);
    // After the rest one request tries it out.
    let held = Walk::new(resolve(&catalog, "a"), &fleet).next_target(&fleet, T0 + 6000).unwrap();
    assert!(held.is_probe());
    assert!(!firsts(&catalog, &fleet, "p", T0 + 6000, 20).contains(&"A.m".to_owned()));
}

#[test]
fn a_conversation_leaves_a_target_that_answers_errors() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m", "B/m"]), pool("a", &["A/m"])]);
    let prefer = |name: &str, now| {
        Walk::new(resolve(&catalog, name), &fleet).prefer(Attempt { target: 0, credential: Some(0) }, &fleet, now)
    };
    assert_eq!(prefer("p", T0), Ok(()));
    for step in 0..5 {
        let mut lease = Walk::new(resolve(&catalog, "a"), &fleet).next_target(&fleet, T0 + step).unwrap();
        lease.failed(&Trouble::new(C::UpstreamProtocol), T0 + step, 0);
    }
    assert!(matches!(prefer("p", T0 + 10), Err(Some(Barred::Cooling { .. }))));
    assert_eq!(prefer("a", T0 + 10), Ok(()));
}

#[test]
fn streams_that_break_off_count_and_those_that_end_make_good() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m", "B/m"]), pool("a", &["A/m"])]);
    let stream = |broken: bool, now: Millis| {
        let mut lease = Walk::new(resolve(&catalog, "a"), &fleet).next_target(&fleet, now).unwrap();
        lease.succeeded(Some(200), 10, now);
        if broken {
            lease.failed(&Trouble::new(C::UpstreamProtocol), now, 0);
        }
    };
    for step in 0..4 {
        stream(true, T0 + step);
    }
    stream(false, T0 + 4);
    for step in 5..7 {
        stream(true, T0 + step);
    }
    let health = fleet.provider("A").unwrap();
    assert_eq!(health.yields("m", T0 + 7), None, "no five in a row");
    for step in 7..10 {
        stream(true, T0 + step);
    }
    assert!(health.yields("m", T0 + 10).is_some());
    assert_eq!(health.roster().counts(0).requests, 10);
}

fn fleet_with_latency(catalog: &Catalog) -> Fleet {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    for step in 0..20 {
        let mut lease =
            Walk::new(resolve(catalog, "p"), &fleet).next_target(&fleet, T0 + step).expect("both can be tried");
        let millis = if &**lease.provider().name() == "A" { 5000 } else { 500 };
        lease.succeeded(Some(200), millis, T0 + step);
    }
    fleet
}

#[test]
fn strategies_of_pools() {
    let fleet = fleet(&[("A", 1), ("B", 1)]);
    let with = |strategy| catalog(vec![Pool { strategy, ..pool("p", &["A/m", "B/m"]) }]);
    assert_eq!(share(&firsts(&with(Strategy::Ordered), &fleet, "p", T0, 10))["A.m"], 10);
    let busy = with(Strategy::LeastBusy);
    let held: Vec<Lease> =
        (0..6).map(|_| Walk::new(resolve(&busy, "p"), &fleet).next_target(&fleet, T0).unwrap()).collect();
    let of_a = held.iter().filter(|lease| &**lease.provider().name() == "A").count();
    assert_eq!(of_a, 3);
    drop(held);
    let latency = with(Strategy::Latency);
    let known = fleet_with_latency(&latency);
    assert_eq!(share(&firsts(&latency, &known, "p", T0 + 100, 15))["B.m"], 15);
}

#[test]
fn a_new_configuration_takes_over_what_is_known() {
    let before = fleet(&[("A", 2), ("B", 1)]);
    let catalog = catalog(vec![pool("p", &["A/m"])]);
    let mut lease = Walk::new(resolve(&catalog, "p"), &before).next_target(&before, T0).unwrap();
    let first = lease.credential().unwrap();
    lease.failed(&Trouble { retry_at: Some(T0 + 60_000), ..Trouble::new(C::AccountBroken) }, T0, 0);
    let after = Fleet::new(vec![spec("A", 3), spec("B", 1)], Some(&before), T0 + 1);
    let roster = after.provider("A").unwrap().roster();
    assert!(matches!(roster.state(first, T0 + 59_999), State::Exhausted { .. }));
    assert_eq!(roster.state(2, T0 + 1), State::Ready);
    assert_eq!(roster.counts(first).failures, 1);
    assert!(std::sync::Arc::ptr_eq(after.provider("B").unwrap(), before.provider("B").unwrap()));
    // An attempt of the old configuration still counts.
    let mut late = Walk::new(resolve(&catalog, "p"), &before).next_target(&before, T0 + 2).unwrap();
    let other = late.credential().unwrap();
    late.succeeded(Some(200), 5, T0 + 3);
    assert_eq!(roster.counts(other).successes, 1);
}

#[test]
fn the_keys_of_a_route_hold_for_its_requests() {
    use polyport_routing::{Match, Pattern, Route, RouteTo};
    let fleet = fleet(&[("A", 4)]);
    let route = Route {
        when: Match { callers: vec![Pattern::new("night")], ..Match::default() },
        keys: vec!["A-2".into()],
        ..Route::new(RouteTo::Provider("A".into()))
    };
    let catalog =
        Catalog::default().with_provider("A", Protocol::Chat, vec![], vec![]).with_route(route).check().unwrap();
    for _ in 0..5 {
        let resolved = catalog.resolve("m", Hints { callers: &["night"], ..Hints::default() }).unwrap();
        let mut walk = Walk::new(resolved, &fleet);
        assert_eq!(walk.next_target(&fleet, T0).unwrap().credential(), Some(2));
        assert!(walk.next_credential(&fleet, T0).is_none());
        assert_eq!(walk.credentials_left(&fleet, T0), 0);
    }
}

/// Pools over three providers with random keys, weights, priorities and failures.
fn scenes() -> impl proptest::strategy::Strategy<Value = Scene> {
    let target = (0_usize..3, 0_usize..4, 1_u32..5, 1_u32..3);
    let strategy = prop_oneof![
        Just(Strategy::RoundRobin),
        Just(Strategy::LeastBusy),
        Just(Strategy::Latency),
        Just(Strategy::Ordered)
    ];
    (
        proptest::collection::vec(0_usize..6, 3),
        proptest::collection::vec(target, 1..9),
        strategy.clone(),
        strategy,
        proptest::collection::vec((0_u64..500, 0_u8..6), 0..40),
    )
        .prop_map(|(keys, targets, of_pool, of_keys, script)| Scene { keys, targets, of_pool, of_keys, script })
}

#[derive(Clone, Debug)]
struct Scene {
    keys: Vec<usize>,
    targets: Vec<(usize, usize, u32, u32)>,
    of_pool: Strategy,
    of_keys: Strategy,
    script: Vec<(u64, u8)>,
}

impl Scene {
    fn made(&self) -> (Catalog, Fleet) {
        let names = ["A", "B", "C"];
        let specs = names
            .iter()
            .zip(&self.keys)
            .map(|(name, &keys)| ProviderSpec { strategy: self.of_keys, ..spec(name, keys) });
        let half = self.targets.len().div_ceil(2);
        let list = |part: &[(usize, usize, u32, u32)]| {
            let target = |&(provider, model, weight, priority): &(usize, usize, u32, u32)| TargetSpec {
                to: format!("{}/m{model}", names[provider]).into(),
                weight,
                priority,
            };
            part.iter().map(target).collect::<Vec<_>>()
        };
        let (first, second) = self.targets.split_at(half);
        let mut pools = vec![Pool { strategy: self.of_pool, ..Pool::new("p", list(first)) }];
        if !second.is_empty() {
            pools[0].fallbacks.push("q".into());
            pools.push(Pool::new("q", list(second)));
        }
        (catalog(pools), Fleet::new(specs.collect(), None, T0))
    }
}

proptest! {
    #[test]
    fn explain_foresees_the_first_attempt_and_no_attempt_comes_twice(scene in scenes()) {
        let (catalog, fleet) = scene.made();
        let mut now = T0;
        for &(step, what) in &scene.script {
            now += step;
            let foreseen = Walk::dry(resolve(&catalog, "p"), &fleet).foresee(&fleet, now, 1000);
            prop_assert_eq!(foreseen.iter().collect::<HashSet<_>>().len(), foreseen.len());
            let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
            let Some(mut lease) = walk.next_target(&fleet, now) else {
                prop_assert!(foreseen.is_empty());
                prop_assert!(walk.excluded(&fleet, now, 1).len() == 1);
                continue;
            };
            let place = |lease: &Lease| {
                let at = |to: &polyport_routing::Target| to.provider == *lease.provider().name() && to.model == *lease.model();
                let target = walk.resolved().targets.iter().position(at).expect("it is a target");
                Attempt { target, credential: lease.credential() }
            };
            prop_assert_eq!(foreseen.first(), Some(&place(&lease)));
            match what {
                0..3 => lease.succeeded(Some(200), 100 * u32::from(what), now),
                3 => drop(lease.failed(&Trouble { retry_at: Some(now + 300), ..Trouble::new(C::RateLimited) }, now, 0)),
                4 => drop(lease.failed(&Trouble::new(C::AuthInvalid), now, 0)),
                _ => drop(lease.failed(&Trouble::new(C::ServerError), now, 0)),
            }
        }
    }

    #[test]
    fn every_attempt_that_can_be_made_is_made_once(scene in scenes()) {
        let (catalog, fleet) = scene.made();
        let mut walk = Walk::new(resolve(&catalog, "p"), &fleet);
        let mut seen = HashSet::new();
        let mut lease = walk.next_target(&fleet, T0);
        while let Some(held) = lease {
            prop_assert!(seen.insert((shown(&held), held.credential())), "twice");
            lease = walk.next_credential(&fleet, T0).or_else(|| walk.next_target(&fleet, T0));
        }
        let targets: HashSet<_> = scene.targets.iter().map(|&(provider, model, ..)| (provider, model)).collect();
        let expected: usize = targets.iter().map(|(provider, _)| scene.keys[*provider].max(1)).sum();
        prop_assert_eq!(seen.len(), expected);
    }

    #[test]
    fn shares_of_providers_and_models_are_kept(weights in proptest::collection::vec((0_usize..3, 1_u32..5), 1..7), start in 0_usize..50) {
        let fleet = fleet(&[("A", 1), ("B", 1), ("C", 1)]);
        let specs = weights.iter().enumerate().map(|(at, &(provider, weight))| TargetSpec {
            weight,
            ..TargetSpec::new(format!("{}/m{at}", ["A", "B", "C"][provider]))
        });
        let catalog = catalog(vec![Pool::new("p", specs.collect())]);
        let mut heaviest: HashMap<usize, u32> = HashMap::new();
        for &(provider, weight) in &weights {
            let known = heaviest.entry(provider).or_default();
            *known = (*known).max(weight);
        }
        let cycle = heaviest.values().sum::<u32>() as usize;
        firsts(&catalog, &fleet, "p", T0, start);
        let order = firsts(&catalog, &fleet, "p", T0, cycle);
        for (provider, weight) in heaviest {
            let name = ["A", "B", "C"][provider];
            let got = order.iter().filter(|first| first.starts_with(name)).count();
            prop_assert!(got.abs_diff(weight as usize) <= 1, "{name}: {got} for {weight} of {order:?}");
        }
    }
}
