//! Credentials: turns, weights, limits, rests and how they end.

use std::collections::HashMap;
use std::sync::Arc;

use polyport_routing::{
    Ask, Barred, Lease, Member, Millis, Pace, ProviderHealth, RestPolicy, Rested, Scope, State, Strategy, Tried,
    Trouble,
};
use polyport_types::FaultClass as C;
use proptest::prelude::*;

const T0: Millis = 1_700_000_000_000;

fn member(id: usize) -> Member {
    Member::new(format!("k{id}"))
}

fn keys(count: usize) -> Vec<Member> {
    (0..count).map(member).collect()
}

fn made(members: Vec<Member>, strategy: Strategy) -> Arc<ProviderHealth> {
    Arc::new(ProviderHealth::new("p", members, strategy, RestPolicy::default()))
}

fn ask(model: &str, now: Millis, turn: u64) -> Ask<'_> {
    Ask { model, now, turn, among: None }
}

fn lease(provider: &Arc<ProviderHealth>, now: Millis) -> Result<Lease, Barred> {
    let turn = provider.roster().next_turn();
    provider.lease(&ask("m", now, turn), &mut Tried::default())
}

fn fail(provider: &Arc<ProviderHealth>, trouble: &Trouble<'_>, now: Millis) -> Option<Rested> {
    lease(provider, now).expect("a key can be used").failed(trouble, now, 0)
}

fn firsts(provider: &Arc<ProviderHealth>, now: Millis, turns: u64) -> HashMap<usize, u64> {
    let mut counts = HashMap::new();
    for _ in 0..turns {
        let lease = lease(provider, now).expect("a key can be used");
        *counts.entry(lease.credential().expect("it has a key")).or_default() += 1;
    }
    counts
}

#[test]
fn keys_take_turns_and_one_that_rests_leaves_its_share_to_all() {
    let provider = made(keys(4), Strategy::RoundRobin);
    let order: Vec<_> = (0..8).map(|_| lease(&provider, T0).unwrap().credential().unwrap()).collect();
    assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3]);
    fail(&provider, &Trouble { retry_at: Some(T0 + 9000), ..Trouble::new(C::RateLimited) }, T0);
    let counts = firsts(&provider, T0 + 1, 300);
    assert_eq!([1, 2, 3].map(|index| counts[&index]), [100, 100, 100]);
}

#[test]
fn cooling_is_obeyed_to_the_millisecond_and_ends_by_itself() {
    let provider = made(keys(1), Strategy::RoundRobin);
    let limited = Trouble { retry_at: Some(T0 + 2000), ..Trouble::new(C::RateLimited) };
    let rested = fail(&provider, &limited, T0);
    assert_eq!(rested, Some(Rested { scope: Scope::CredentialModel, until: Some(T0 + 2000) }));
    let barred = Barred::Cooling { until: T0 + 2000, cause: C::RateLimited };
    assert_eq!(lease(&provider, T0 + 1999).err(), Some(barred));
    assert_eq!(provider.earliest(&ask("m", T0 + 1999, 0)), Some(T0 + 2000));
    // Another model of the same key goes on.
    assert!(provider.lease(&ask("other", T0 + 1, 0), &mut Tried::default()).is_ok());
    assert!(lease(&provider, T0 + 2000).is_ok());
    // The provider said when: nothing is tried out first.
    let (one, two) = (lease(&provider, T0 + 2000), lease(&provider, T0 + 2000));
    assert!(one.is_ok() && two.is_ok());
}

#[test]
fn a_longer_rest_stays_when_a_shorter_failure_comes_in() {
    let provider = made(keys(1), Strategy::RoundRobin);
    let account =
        |until| Trouble { retry_at: Some(T0 + until), scope: Some(Scope::Credential), ..Trouble::new(C::RateLimited) };
    let (mut one, mut two) = (lease(&provider, T0).unwrap(), lease(&provider, T0).unwrap());
    one.failed(&account(5000), T0 + 10, 0);
    two.failed(&account(1000), T0 + 20, 0);
    assert!(lease(&provider, T0 + 4999).is_err());
    assert!(lease(&provider, T0 + 5000).is_ok());
}

#[test]
fn one_refusal_rests_the_second_in_a_row_removes_and_a_health_check_brings_back() {
    let provider = made(keys(1), Strategy::RoundRobin);
    let refused = Trouble { message: "API key revoked", ..Trouble::new(C::AuthInvalid) };
    let mut together: Vec<Lease> = (0..50).map(|_| lease(&provider, T0).unwrap()).collect();
    // Fifty that were under way together are one refusal.
    for lease in &mut together {
        lease.failed(&refused, T0 + 5, 0);
    }
    drop(together);
    assert_eq!(provider.roster().state(0, T0 + 6), State::Cooling { until: T0 + 30_005, cause: C::AuthInvalid });
    let mut probe = lease(&provider, T0 + 30_005).unwrap();
    assert!(probe.is_probe());
    assert_eq!(lease(&provider, T0 + 30_005).err(), Some(Barred::Probing));
    assert_eq!(probe.failed(&refused, T0 + 30_100, 0), Some(Rested { scope: Scope::Credential, until: None }));
    drop(probe);
    assert_eq!(provider.roster().state(0, T0 + 40_000), State::Invalid { reason: "API key revoked".into() });
    assert_eq!(lease(&provider, T0 + 90_000_000).err(), Some(Barred::Invalid));
    provider.roster().revive(0);
    assert!(lease(&provider, T0 + 90_000_001).is_ok());
}

#[test]
fn after_a_guessed_rest_one_goes_first_and_its_success_opens_the_way() {
    let provider = made(keys(1), Strategy::RoundRobin);
    fail(&provider, &Trouble::new(C::AccountBroken), T0);
    let back = T0 + 6 * 3600 * 1000;
    assert_eq!(lease(&provider, back - 1).err(), Some(Barred::Exhausted { until: back, cause: C::AccountBroken }));
    let mut probe = lease(&provider, back).unwrap();
    assert!(lease(&provider, back).is_err());
    probe.succeeded(Some(200), 100, back + 100);
    // The answer is still on its way, the others go on.
    assert!(lease(&provider, back + 100).is_ok());
    assert_eq!(provider.roster().state(0, back + 100), State::Ready);
    // A probe that nobody waits for lets the next one try.
    fail(&provider, &Trouble::new(C::AccountBroken), back + 200);
    let again = back + 200 + 6 * 3600 * 1000;
    drop(lease(&provider, again).unwrap());
    assert!(lease(&provider, again).unwrap().is_probe());
}

#[test]
fn a_mistake_of_the_client_proves_the_key() {
    let provider = made(keys(1), Strategy::RoundRobin);
    fail(&provider, &Trouble::new(C::AuthInvalid), T0);
    let mut probe = lease(&provider, T0 + 30_000).unwrap();
    assert_eq!(probe.failed(&Trouble { status: Some(400), ..Trouble::new(C::BadRequest) }, T0 + 30_001, 0), None);
    assert_eq!(provider.roster().state(0, T0 + 30_001), State::Ready);
    assert!(lease(&provider, T0 + 30_001).is_ok());
}

#[test]
fn an_unknown_model_rests_a_key_only_where_there_are_others() {
    let missing = Trouble::new(C::ModelNotFound);
    let alone = made(keys(1), Strategy::RoundRobin);
    for step in 0..4 {
        assert_eq!(fail(&alone, &missing, T0 + step), None);
    }
    let two = made(keys(2), Strategy::RoundRobin);
    let this = |now| two.lease_this(0, &ask("m", now, 0), &mut Tried::default());
    assert_eq!(this(T0).unwrap().failed(&missing, T0, 0), None);
    assert!(this(T0 + 1).unwrap().failed(&missing, T0 + 1, 0).is_some());
    assert!(this(T0 + 2).is_err());
    assert!(lease(&two, T0 + 2).is_ok());
}

#[test]
fn a_late_success_does_not_end_a_rest() {
    let provider = made(keys(1), Strategy::RoundRobin);
    let mut early = lease(&provider, T0).unwrap();
    fail(&provider, &Trouble { retry_at: Some(T0 + 5000), ..Trouble::new(C::RateLimited) }, T0 + 10);
    early.succeeded(Some(200), 20, T0 + 20);
    assert!(lease(&provider, T0 + 4999).is_err());
}

#[test]
fn priorities_go_first_and_limits_pass_on() {
    let mut members = keys(3);
    members[0].priority = 2;
    members[1].concurrency = 1;
    members[2].pace = Some(Pace { requests: 2, per: 1000, burst: 1 });
    let provider = made(members, Strategy::RoundRobin);
    let held: Vec<Lease> = (0..3).map(|_| lease(&provider, T0).unwrap()).collect();
    let used: Vec<_> = held.iter().map(|lease| lease.credential().unwrap()).collect();
    assert_eq!((used[2], used.contains(&1), used.contains(&2)), (0, true, true));
    let none = Tried::default();
    assert_eq!(provider.roster().barred(1, &ask("m", T0, 0), &none), Some(Barred::Busy));
    assert_eq!(provider.roster().barred(2, &ask("m", T0, 0), &none), Some(Barred::Ahead { until: T0 + 500 }));
    assert_eq!(provider.roster().barred(2, &ask("m", T0 + 499, 0), &none), Some(Barred::Ahead { until: T0 + 500 }));
    assert_eq!(provider.roster().barred(2, &ask("m", T0 + 500, 0), &none), None);
    drop(held);
    assert_eq!(provider.roster().barred(1, &ask("m", T0, 0), &none), None);
    assert_eq!(provider.roster().in_flight(), 0);
}

#[test]
fn a_pace_lets_bursts_through_and_then_its_rate() {
    let mut only = member(0);
    only.pace = Some(Pace { requests: 10, per: 1000, burst: 5 });
    let provider = made(vec![only], Strategy::RoundRobin);
    let passed: Vec<Millis> = (0..2000).filter(|step| lease(&provider, T0 + step).is_ok()).collect();
    assert_eq!(&passed[..8], [0, 1, 2, 3, 4, 100, 200, 300]);
    assert_eq!(passed.len(), 24);
}

#[test]
fn the_least_busy_and_the_fastest_are_preferred() {
    let provider = made(keys(3), Strategy::LeastBusy);
    let held: Vec<Lease> = (0..9).map(|_| lease(&provider, T0).unwrap()).collect();
    for index in 0..3 {
        assert_eq!(provider.roster().in_flight_of(index), 3);
    }
    drop(held);
    let many = made(keys(1000), Strategy::LeastBusy);
    let held: Vec<Lease> = (0..10_000).map(|_| lease(&many, T0).unwrap()).collect();
    let most = (0..1000).map(|index| many.roster().in_flight_of(index)).max().unwrap();
    assert!(most <= 14, "{most}");
    drop(held);
    let fast = made(keys(2), Strategy::Latency);
    for (index, millis) in [(0, 900), (1, 90)] {
        fast.lease_this(index, &ask("m", T0, 0), &mut Tried::default()).unwrap().succeeded(Some(200), millis, T0);
    }
    assert_eq!(firsts(&fast, T0, 20)[&1], 20);
}

#[test]
fn counters_add_up_and_drain_once() {
    let provider = made(keys(2), Strategy::RoundRobin);
    for step in 0..10 {
        let mut lease = lease(&provider, T0 + step).unwrap();
        match step % 5 {
            0 => drop(lease.failed(&Trouble { status: Some(400), ..Trouble::new(C::BadRequest) }, T0 + step, 0)),
            1 => {}
            _ => lease.succeeded(Some(200), 5, T0 + step),
        }
    }
    let roster = provider.roster();
    let total = |field: fn(&polyport_routing::Counts) -> u64| field(&roster.counts(0)) + field(&roster.counts(1));
    assert_eq!((total(|c| c.requests), total(|c| c.successes), total(|c| c.failures)), (10, 6, 2));
    let mut drained = 0;
    roster.drain_counts(|_, counts| drained += counts.requests);
    roster.drain_counts(|_, counts| drained += counts.requests);
    assert_eq!(drained, 10);
    assert_eq!(roster.counts(0).statuses.iter().map(|(_, count)| count).sum::<u64>(), 4);
}

#[test]
fn states_survive_a_restart_as_absolute_moments() {
    let provider = made(keys(3), Strategy::RoundRobin);
    fail(&provider, &Trouble { retry_at: Some(T0 + 5000), ..Trouble::new(C::RateLimited) }, T0);
    let mut second = provider.lease_this(1, &ask("m", T0, 0), &mut Tried::default()).unwrap();
    second.failed(&Trouble { retry_at: Some(T0 + 7000), ..Trouble::new(C::RateLimitedWindow) }, T0, 0);
    provider.roster().set_invalid(2, "revoked");
    let mut elsewhere = provider.lease(&ask("busy", T0, 0), &mut Tried::default()).unwrap();
    elsewhere.failed(&Trouble::new(C::CapacityModel), T0, 0);
    let text = serde_json::to_string(&provider.export(T0 + 1)).unwrap();
    let again = made(keys(3), Strategy::RoundRobin);
    again.restore(&serde_json::from_str::<Vec<_>>(&text).unwrap(), T0 + 2000);
    let none = Tried::default();
    let barred = |index, now| again.roster().barred(index, &ask("m", now, 0), &none);
    assert_eq!(barred(0, T0 + 4999), Some(Barred::Cooling { until: T0 + 5000, cause: C::RateLimited }));
    assert_eq!(barred(0, T0 + 5000), None);
    assert_eq!(barred(1, T0 + 6999), Some(Barred::Exhausted { until: T0 + 7000, cause: C::RateLimitedWindow }));
    assert_eq!(barred(2, T0 + 9_000_000), Some(Barred::Invalid));
    assert!(again.barred(&ask("busy", T0 + 29_999, 0), &none).is_some());
    // A credential that is gone is left out.
    made(keys(1), Strategy::RoundRobin).restore(&provider.export(T0 + 1), T0 + 2000);
}

#[test]
fn the_keys_of_a_route_are_the_only_ones() {
    let provider = made(keys(5), Strategy::RoundRobin);
    let subset = provider.roster().subset(|member| ["k1", "k3"].contains(&&*member.id));
    let mut tried = Tried::default();
    let of_route = |turn| Ask { among: Some(&subset), ..ask("m", T0, turn) };
    let mut got: Vec<_> =
        (0..2).map(|turn| provider.roster().pick(&of_route(turn), &mut tried).unwrap().index()).collect();
    got.sort_unstable();
    assert_eq!(got, [1, 3]);
    assert!(provider.roster().pick(&of_route(2), &mut tried).is_none());
    assert_eq!(provider.roster().barred(0, &of_route(0), &tried), Some(Barred::NotOfRoute));
    assert_eq!(provider.roster().barred(1, &of_route(0), &tried), Some(Barred::Tried));
}

#[test]
fn models_that_clients_make_up_do_not_pile_up() {
    let provider = made(keys(2), Strategy::RoundRobin);
    for step in 0..5000 {
        let model = format!("made-up-{step}");
        let mut lease = provider.lease(&ask(&model, T0 + step, step), &mut Tried::default()).unwrap();
        lease.failed(&Trouble::new(C::RateLimited), T0 + step, 0);
    }
    assert!(provider.roster().model_states(0, T0 + 5000).len() <= 256);
    assert!(provider.export(T0 + 5000).len() <= 600);
}

#[test]
fn limits_hold_when_many_threads_pick_at_once() {
    let mut members = keys(70);
    for member in &mut members {
        member.concurrency = 2;
    }
    let provider = made(members, Strategy::RoundRobin);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for step in 0..2000 {
                    let held: Vec<_> = (0..25).filter_map(|_| lease(&provider, T0 + step).ok()).collect();
                    for lease in &held {
                        let index = lease.credential().unwrap();
                        assert!(provider.roster().in_flight_of(index) <= 2);
                    }
                }
            });
        }
    });
    // Nothing is left behind: all 140 places are free again.
    let held: Vec<_> = std::iter::from_fn(|| lease(&provider, T0 + 3000).ok()).collect();
    assert_eq!(held.len(), 140);
}

fn members() -> impl Strategy_<Value = Vec<Member>> {
    let one = (1_u32..4, 1_u32..3, 0_u32..3, any::<bool>());
    proptest::collection::vec(one, 1..150).prop_map(|given| {
        let members = given.into_iter().enumerate().map(|(at, (weight, priority, concurrency, disabled))| Member {
            weight,
            priority,
            concurrency,
            disabled: disabled && at % 3 == 0,
            ..member(at)
        });
        members.collect::<Vec<Member>>()
    })
}

use proptest::strategy::Strategy as Strategy_;

fn strategy() -> impl Strategy_<Value = Strategy> {
    prop_oneof![Just(Strategy::RoundRobin), Just(Strategy::LeastBusy), Just(Strategy::Latency)]
}

proptest! {
    #[test]
    fn no_key_is_tried_twice_and_all_are_tried(members in members(), strategy in strategy(), turn in any::<u64>()) {
        let provider = made(members.clone(), strategy);
        let mut tried = Tried::default();
        let mut order = Vec::new();
        let mut held = Vec::new();
        loop {
            let peeked = provider.roster().peek(&ask("m", T0, turn), &tried);
            let picked = provider.roster().pick(&ask("m", T0, turn), &mut tried);
            // What was foretold is what happens.
            prop_assert_eq!(peeked, picked.as_ref().map(polyport_routing::Picked::index));
            let Some(picked) = picked else { break };
            order.push(picked.index());
            held.push(picked);
        }
        let priorities: Vec<u32> = order.iter().map(|&index| members[index].priority).collect();
        prop_assert!(priorities.is_sorted());
        order.sort_unstable();
        let expected: Vec<usize> = (0..members.len()).filter(|&index| !members[index].disabled).collect();
        prop_assert_eq!(order, expected);
    }

    #[test]
    fn weights_are_kept_over_every_cycle(weights in proptest::collection::vec(1_u32..6, 1..80), start in 0_u64..10_000) {
        let members: Vec<Member> = weights.iter().enumerate().map(|(at, &weight)| Member { weight, ..member(at) }).collect();
        let provider = made(members, Strategy::RoundRobin);
        let cycle: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut counts = vec![0_u32; weights.len()];
        for turn in start..start + cycle {
            let picked = provider.roster().pick(&ask("m", T0, turn), &mut Tried::default()).unwrap();
            counts[picked.index()] += 1;
        }
        for (count, weight) in counts.iter().zip(&weights) {
            prop_assert!(count.abs_diff(*weight) <= 1);
        }
    }

    #[test]
    fn random_failures_never_break_the_promises(
        script in proptest::collection::vec((0_u64..3000, 0_usize..8, 0_u64..5000), 1..120),
        count in 1_usize..6,
    ) {
        let provider = made(keys(count), Strategy::RoundRobin);
        let mut now = T0;
        let mut stated: HashMap<usize, Millis> = HashMap::new();
        for (step, what, wait) in script {
            now += step;
            let Ok(mut lease) = lease(&provider, now) else {
                // Something comes back by itself, unless all were refused for good.
                let all_invalid = (0..count).all(|index| matches!(provider.roster().state(index, now), State::Invalid { .. }));
                prop_assert!(all_invalid || provider.earliest(&ask("m", now, 0)).is_some_and(|at| at > now));
                continue;
            };
            let index = lease.credential().unwrap();
            prop_assert!(stated.get(&index).is_none_or(|&until| now >= until), "used while it rested");
            match what {
                0..4 => lease.succeeded(Some(200), 10, now),
                4..6 => {
                    let until = now + wait;
                    lease.failed(&Trouble { retry_at: Some(until), ..Trouble::new(C::RateLimited) }, now, 0);
                    stated.insert(index, until);
                }
                6 => drop(lease.failed(&Trouble::new(C::AuthInvalid), now, 0)),
                _ => drop(lease.failed(&Trouble::new(C::Timeout), now, 0)),
            }
        }
        prop_assert_eq!(provider.roster().in_flight(), 0);
    }
}
