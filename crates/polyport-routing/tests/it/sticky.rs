//! Conversations stay where their cache is warm: a simulation with a cache per key.

use std::collections::HashMap;

use polyport_routing::sticky::{CACHE_LIFETIME, ConversationKey};
use polyport_routing::{
    Catalog, Fleet, Guided, Hints, Lease, Member, Millis, Pool, ProviderSpec, RestPolicy, Sticky, Strategy, TargetSpec,
    Trouble, Walk,
};
use polyport_types::{FaultClass as C, Protocol};

const T0: Millis = 1_700_000_000_000;
const KEYS: usize = 5;

struct World {
    catalog: Catalog,
    fleet: Fleet,
    sticky: Sticky,
    /// What each key has in its cache, and since when: the fake provider.
    caches: HashMap<(usize, u64), Millis>,
    dead: Option<usize>,
    failed: u32,
    requests: u32,
    warm: u32,
    used: [u32; KEYS],
}

impl World {
    fn new() -> Self {
        let members = (0..KEYS).map(|key| Member::new(format!("k{key}"))).collect();
        let spec =
            ProviderSpec { name: "A".into(), members, strategy: Strategy::RoundRobin, policy: RestPolicy::default() };
        let catalog = Catalog::default()
            .with_provider("A", Protocol::Messages, vec![], vec![])
            .with_pool(Pool::new("p", vec![TargetSpec::new("A/m")]))
            .check();
        Self {
            catalog: catalog.expect("the pool is right"),
            fleet: Fleet::new(vec![spec], None, T0),
            sticky: Sticky::new(10_000),
            caches: HashMap::new(),
            dead: None,
            failed: 0,
            requests: 0,
            warm: 0,
            used: [0; KEYS],
        }
    }

    fn walk(&self) -> Walk {
        Walk::new(self.catalog.resolve("p", Hints::default()).expect("the pool is known"), &self.fleet)
    }

    /// One request of a conversation, as the relay makes it.
    fn request(&mut self, session: u64, now: Millis) {
        self.requests += 1;
        let key = ConversationKey::of_id("caller", "p", &session.to_string());
        let mut walk = self.walk();
        self.sticky.guide(key, &mut walk, &self.fleet, now);
        let mut lease = walk.next_target(&self.fleet, now);
        while let Some(mut held) = lease {
            let index = held.credential().expect("it has a key");
            if self.dead == Some(index) {
                held.failed(&Trouble::new(C::AuthInvalid), now, 0);
                lease = walk.next_credential(&self.fleet, now);
                continue;
            }
            let before = self.caches.insert((index, session), now);
            self.warm += u32::from(before.is_some_and(|at| now < at + CACHE_LIFETIME));
            self.used[index] += 1;
            held.succeeded(Some(200), 100, now);
            self.sticky.keep(key, "p", &held, 20_000, CACHE_LIFETIME, now);
            return;
        }
        self.failed += 1;
    }

    /// So many rounds of requests: one of each of a thousand sessions, half a minute apart.
    fn rounds(&mut self, rounds: std::ops::Range<u64>) {
        for round in rounds {
            for session in 0..1000 {
                self.request(session, T0 + round * 30_000 + session);
            }
        }
    }
}

#[test]
fn the_cache_is_warm_in_steady_state_and_a_dying_key_costs_no_request() {
    let mut world = World::new();
    world.rounds(0..1);
    assert_eq!(world.warm, 0);
    world.requests = 0;
    world.used = [0; KEYS];
    world.rounds(1..21);
    assert!(world.warm * 100 >= world.requests * 95, "{} of {}", world.warm, world.requests);
    // Load stays even: each key has a fifth of it.
    assert!(world.used.iter().all(|&used| (3600..=4400).contains(&used)), "{:?}", world.used);
    world.dead = Some(2);
    (world.requests, world.warm, world.used) = (0, 0, [0; KEYS]);
    world.rounds(21..41);
    assert_eq!((world.failed, world.requests), (0, 20_000));
    // A fifth of the conversations had to begin again, once.
    assert!(world.warm * 100 >= world.requests * 95, "{} of {}", world.warm, world.requests);
    let alive: Vec<u32> = [0, 1, 3, 4].iter().map(|&index| world.used[index]).collect();
    assert!(alive.iter().all(|&used| (4500..=5500).contains(&used)), "{alive:?}");
    let counts = world.sticky.counts("p");
    assert_eq!((counts.misses(), counts.forced_moves()), (1000, 200));
    assert_eq!(counts.hits() + counts.misses() + counts.forced_moves(), 41_000);
}

#[test]
fn a_binding_lets_go_at_once_and_ends_with_the_cache() {
    let world = World::new();
    let key = ConversationKey::of_id("caller", "p", "one");
    let lease = world.walk().next_target(&world.fleet, T0).unwrap();
    let bound = lease.credential();
    world.sticky.keep(key, "p", &lease, 100, CACHE_LIFETIME, T0);
    drop(lease);
    let guided = |now| {
        let mut walk = world.walk();
        let guided = world.sticky.guide(key, &mut walk, &world.fleet, now);
        (guided, walk.next_target(&world.fleet, now).and_then(|lease| lease.credential()))
    };
    for now in 1..20 {
        assert_eq!(guided(T0 + now), (Guided::Kept, bound));
    }
    assert_eq!(guided(T0 + CACHE_LIFETIME).0, Guided::Unbound);
    world.fleet.provider("A").unwrap().roster().set_invalid(bound.unwrap(), "revoked");
    let (moved, elsewhere) = guided(T0 + 30);
    assert!(matches!(moved, Guided::Moved(Some(_))), "{moved:?}");
    assert!(elsewhere.is_some() && elsewhere != bound);
}

#[test]
fn many_conversations_on_one_key_make_room() {
    let world = World::new();
    // A hundred conversations that all began on one key and now come at once.
    let first = world.walk().next_target(&world.fleet, T0).unwrap();
    let crowded = first.credential().unwrap();
    let key = |session: u64| ConversationKey::of_id("caller", "p", &session.to_string());
    for session in 0..100 {
        let prefix = if session % 2 == 0 { 100 } else { 100_000 };
        world.sticky.keep(key(session), "p", &first, prefix, CACHE_LIFETIME, T0);
    }
    drop(first);
    let mut held: Vec<Lease> = Vec::new();
    for session in 0..100 {
        let mut walk = world.walk();
        world.sticky.guide(key(session), &mut walk, &world.fleet, T0 + 1);
        held.push(walk.next_target(&world.fleet, T0 + 1).unwrap());
    }
    let roster = world.fleet.provider("A").unwrap().roster();
    let there = roster.in_flight_of(crowded);
    assert!((20..=84).contains(&there), "{there}");
    for index in (0..KEYS).filter(|&index| index != crowded) {
        assert!(roster.in_flight_of(index) >= 4);
    }
}

#[test]
fn the_table_is_bounded_and_keeps_what_is_used() {
    let world = World::new();
    let sticky = Sticky::new(100);
    let lease = world.walk().next_target(&world.fleet, T0).unwrap();
    let key = |session: u64| ConversationKey::of_id("caller", "p", &session.to_string());
    for session in 0..10_000 {
        sticky.keep(key(session), "p", &lease, 1, CACHE_LIFETIME, T0 + session);
        sticky.keep(key(0), "p", &lease, 1, CACHE_LIFETIME, T0 + session);
        assert!(sticky.len() <= 100);
    }
    assert!(sticky.bound(key(0), T0 + 10_000).is_some());
    assert!(sticky.bound(key(9_999), T0 + 10_000).is_some());
    assert!(sticky.bound(key(5), T0 + 10_000).is_none());
}
