//! The log: what is written is found, counted once, and goes when it shall.

pub(crate) mod faults;
mod figures;
pub(crate) mod pages;
pub(crate) mod retention;
pub(crate) mod size;
pub(crate) mod sums;
pub(crate) mod times;

use polyport_store::log::{Attempt, Ending, Entry, Log, Payload, Position, Query, State};

/// 2026-11-29T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_953_600_000;
pub(crate) const DAY: i64 = 24 * 3_600_000;

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Less than `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(crate) fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll(all.len() as u64)).unwrap()]
    }

    pub(crate) fn id(&mut self) -> String {
        let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..24).map(|_| char::from(self.one(letters))).collect()
    }
}

pub(crate) fn until(offset: u64) -> Position {
    Position { journal: "j".into(), segment: 1, offset }
}

pub(crate) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A request like most.
pub(crate) fn entry(id: &str, at: i64) -> Entry {
    Entry {
        id: id.into(),
        at,
        key: some("key-1"),
        key_name: some("laptop"),
        user: some("user-1"),
        user_name: some("Ada"),
        team: some("team-1"),
        team_name: some("research"),
        protocol: "messages".into(),
        route: "/v1/messages".into(),
        model: "claude-sonnet-5".into(),
        stream: true,
        status: 200,
        outcome: "answered".into(),
        finish: some("end_turn"),
        first_token_ms: Some(350),
        duration_ms: 4200,
        upstream_id: some("msg_0123456789"),
        source: some("192.0.2.7"),
        attempts: vec![attempt(1, at)],
        ..Entry::default()
    }
}

pub(crate) fn attempt(n: u16, at: i64) -> Attempt {
    Attempt {
        n,
        at: at + 5,
        provider: "claude".into(),
        credential: some("0192f0c1-7c1e-7000-8000-000000000001"),
        model: "claude-sonnet-5-20260901".into(),
        status: Some(200),
        outcome: "answered".into(),
        duration_ms: 4100,
        first_token_ms: Some(340),
        state: State::Settled,
        charged: true,
        ending: Ending::Complete,
        counts: vec![("input".into(), 1200), ("cache_read".into(), 30_000), ("output".into(), 800)],
        cost: Some(24_600_000_000),
        currency: some("USD"),
        ..Attempt::default()
    }
}

/// One that failed with the first provider and was captured.
pub(crate) fn eventful(id: &str, at: i64) -> Entry {
    Entry {
        error: some("the provider said no: 100% of \"_quota_\" used"),
        outcome: "rate_limit".into(),
        status: 429,
        losses: 2,
        loss_report: some("tools[0].strict dropped"),
        attempts: vec![
            Attempt {
                provider: "azure".into(),
                credential: None,
                status: None,
                outcome: "connect".into(),
                error: some("connection \"refused\""),
                first_token_ms: None,
                state: State::Unused,
                charged: false,
                ending: Ending::Failed,
                counts: Vec::new(),
                cost: None,
                currency: None,
                ..attempt(1, at)
            },
            Attempt {
                counts: vec![("input_audio".into(), 7), ("images_in".into(), 2), ("reasoning".into(), 9)],
                state: State::Estimated,
                unpriced: true,
                ..attempt(2, at)
            },
        ],
        payload: Some(Payload { request: some("{\"model\":\"é\"}"), answer: None, truncated: true }),
        ..entry(id, at)
    }
}

/// All ids, page by page.
pub(crate) async fn ids(log: &Log, query: Query) -> Vec<String> {
    let mut export = log.export(query);
    let mut ids = Vec::new();
    while let Some(page) = export.next().await.unwrap() {
        ids.extend(page.into_iter().map(|found| found.entry.id));
    }
    ids
}

pub(crate) fn any() -> Query {
    Query { limit: 100, ..Query::default() }
}
