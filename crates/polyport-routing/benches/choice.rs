//! What a choice of a credential costs.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use polyport_routing::{Ask, Member, ProviderHealth, RestPolicy, Strategy, Tried, Trouble};
use polyport_types::FaultClass;

const NOW: u64 = 1_700_000_000_000;

fn provider(count: usize, strategy: Strategy) -> Arc<ProviderHealth> {
    let members = (0..count).map(|at| Member { weight: 1 + at as u32 % 3, ..Member::new(format!("key-{at}")) });
    Arc::new(ProviderHealth::new("p", members.collect(), strategy, RestPolicy::default()))
}

fn choice(c: &mut Criterion) {
    for count in [3, 10_000] {
        for (name, strategy) in
            [("turns", Strategy::RoundRobin), ("least busy", Strategy::LeastBusy), ("latency", Strategy::Latency)]
        {
            let provider = provider(count, strategy);
            c.bench_function(&format!("{count} credentials, {name}"), |b| {
                b.iter(|| {
                    let turn = provider.roster().next_turn();
                    let ask = Ask { model: "m", now: NOW, turn, among: None };
                    black_box(provider.lease(&ask, &mut Tried::default())).is_ok()
                });
            });
        }
    }
    // A third of ten thousand rests, as keys, as models, and the earliest comes back all the time.
    let provider = provider(10_000, Strategy::RoundRobin);
    for at in 0..3333 {
        let class = if at % 2 == 0 { FaultClass::RateLimited } else { FaultClass::AccountBroken };
        let ask = Ask { model: "m", now: NOW, turn: at, among: None };
        let trouble = Trouble { retry_at: Some(NOW + 1000 + at), ..Trouble::new(class) };
        if let Ok(mut lease) = provider.lease(&ask, &mut Tried::default()) {
            lease.failed(&trouble, NOW, 0);
        }
    }
    let mut now = NOW;
    c.bench_function("10000 credentials, a third resting", |b| {
        b.iter(|| {
            now += 1;
            let turn = provider.roster().next_turn();
            let ask = Ask { model: "m", now: NOW + now % 1000, turn, among: None };
            black_box(provider.lease(&ask, &mut Tried::default())).is_ok()
        });
    });
}

criterion_group!(benches, choice);
criterion_main!(benches);
