//! Names, routes and pools, as a client meets them.

use polyport_types::ClientProtocol;

use super::*;

fn catalog() -> Catalog {
    Catalog::default()
        .with_provider("openai", Protocol::Chat, vec!["gpt-5".into()], vec![Pattern::new("gpt-*")])
        .with_provider("claude", Protocol::Messages, vec![], vec![Pattern::new("claude-*")])
        .with_provider("local", Protocol::Chat, vec!["qwen3:8b".into()], vec![])
        .with_model("best", vec![TargetSpec::new("openai/gpt-5")])
        .with_model("alias", vec![TargetSpec::new("best")])
        .with_model("claude-*", vec![TargetSpec::new("claude/*")])
        .with_model("claude-haiku-*", vec![TargetSpec::new("openai/gpt-mini-*")])
        .with_model(
            "fast",
            vec![
                TargetSpec { weight: 2, ..TargetSpec::new("openai/gpt-5-mini") },
                TargetSpec { priority: 2, ..TargetSpec::new("local/meta/llama") },
            ],
        )
}

fn first(catalog: &Catalog, model: &str) -> (String, Rule) {
    let resolved = catalog.resolve(model, Hints::default()).unwrap();
    let target = &resolved.targets[0];
    (format!("{} {}", target.provider, target.model), resolved.rule)
}

#[test]
fn rules_in_order() {
    let catalog = catalog().check().unwrap();
    assert_eq!(first(&catalog, "best"), ("openai gpt-5".into(), Rule::Model("best".into())));
    assert_eq!(first(&catalog, "alias"), ("openai gpt-5".into(), Rule::Model("alias".into())));
    assert_eq!(first(&catalog, "local/a/b"), ("local a/b".into(), Rule::Direct));
    assert_eq!(first(&catalog, "claude-opus"), ("claude claude-opus".into(), Rule::Glob("claude-*".into())));
    assert_eq!(first(&catalog, "claude-haiku-4").0, "openai gpt-mini-4");
    assert_eq!(first(&catalog, "qwen3:8b"), ("local qwen3:8b".into(), Rule::Listed));
    assert_eq!(first(&catalog, "gpt-9"), ("openai gpt-9".into(), Rule::Claimed("gpt-*".into())));
}

#[test]
fn a_slash_of_an_unknown_provider_is_part_of_the_name() {
    let catalog = catalog().with_default(Some("local".into())).check().unwrap();
    assert_eq!(first(&catalog, "meta-llama/Llama-3"), ("local meta-llama/Llama-3".into(), Rule::Default));
}

#[test]
fn lists_keep_weights_and_priorities() {
    let catalog = catalog().check().unwrap();
    let targets = catalog.resolve("fast", Hints::default()).unwrap().targets;
    assert_eq!(targets.len(), 2);
    assert_eq!((targets[0].weight, targets[0].priority), (2, 1));
    assert_eq!((&*targets[1].model, targets[1].priority), ("meta/llama", 2));
}

#[test]
fn a_list_inside_a_list_keeps_the_outer_order() {
    let catalog = catalog()
        .with_model(
            "outer",
            vec![TargetSpec::new("fast"), TargetSpec { priority: 2, ..TargetSpec::new("claude/opus") }],
        )
        .check()
        .unwrap();
    let mut targets = catalog.resolve("outer", Hints::default()).unwrap().targets.to_vec();
    targets.sort_by_key(|target| target.priority);
    let order: Vec<&str> = targets.iter().map(|target| &*target.provider).collect();
    assert_eq!(order, ["openai", "local", "claude"]);
}

#[test]
fn routes_look_at_keywords_and_protocol() {
    let to = |name: &str| RouteTo::Provider(name.into());
    let catalog = catalog()
        .with_route(Route {
            when: Match { contains: vec!["GPT".into()], ..Match::default() },
            ..Route::new(to("local"))
        })
        .with_route(Route {
            when: Match { protocol: Some(ClientProtocol::Messages), ..Match::default() },
            ..Route::new(to("claude"))
        })
        .check()
        .unwrap();
    assert_eq!(first(&catalog, "my-gpt-x"), ("local my-gpt-x".into(), Rule::Route(0)));
    let hints = Hints::new(ClientProtocol::Messages);
    assert_eq!(catalog.resolve("other", hints).unwrap().rule, Rule::Route(1));
    assert!(catalog.resolve("other", Hints::default()).is_err());
}

#[test]
fn the_clients_own_protocol_goes_first_among_equals() {
    let claims = |patterns: &[&str]| patterns.iter().map(|&pattern| Pattern::new(pattern.to_owned())).collect();
    let catalog = Catalog::default()
        .with_provider("chat", Protocol::Chat, vec!["m".into()], claims(&["gpt-*"]))
        .with_provider("resp", Protocol::Responses, vec!["m".into()], claims(&["gpt-*", "gpt-*-pro*"]))
        .check()
        .unwrap();
    let go = |model: &str, protocol| {
        let resolved = catalog.resolve(model, Hints::new(protocol)).unwrap();
        resolved.targets.iter().map(|target| target.provider.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(go("m", ClientProtocol::Responses), ["resp", "chat"]);
    assert_eq!(go("m", ClientProtocol::Gemini), ["chat", "resp"]);
    assert_eq!(go("gpt-5", ClientProtocol::Responses), ["resp"]);
    assert_eq!(go("gpt-5", ClientProtocol::Messages), ["chat"]);
    // A more specific claim beats the protocol.
    assert_eq!(go("gpt-5-pro", ClientProtocol::Chat), ["resp"]);
}

#[test]
fn unknown_names_get_suggestions() {
    let error = catalog().check().unwrap().resolve("bst", Hints::default()).unwrap_err();
    let NoRoute::Unknown(error) = error else { panic!("{error}") };
    assert_eq!(error.similar, ["best"]);
    assert_eq!(error.to_string(), "unknown model `bst`; similar: `best`");
}

#[test]
fn direct_requests_can_be_refused() {
    let catalog = catalog().with_direct(false).check().unwrap();
    assert!(catalog.resolve("local/a", Hints::default()).is_err());
}

#[test]
fn mistakes_are_all_named() {
    let errors = Catalog::default()
        .with_provider("p", Protocol::Chat, vec![], vec![])
        .with_model("a", vec![TargetSpec::new("b")])
        .with_model("b", vec![TargetSpec::new("a")])
        .with_model("c", vec![TargetSpec::new("nowhere/x")])
        .with_model("d", vec![])
        .with_model("e*", vec![TargetSpec::new("a")])
        .with_route(Route::new(RouteTo::Provider("q".into())))
        .with_default(Some("r".into()))
        .check()
        .unwrap_err();
    let kinds: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(kinds.iter().any(|e| e == "model `b` leads back to itself: a → b → a"), "{kinds:?}");
    assert!(kinds.iter().any(|e| e.contains("`nowhere/x`")));
    assert!(kinds.iter().any(|e| e == "model `d` has no targets"));
    assert!(kinds.iter().any(|e| e.contains("`e*` holds `*`")));
    assert!(kinds.iter().any(|e| e.contains("the route leads to `q`")));
    assert!(kinds.iter().any(|e| e.contains("default provider `r`")));
}

fn pools() -> Catalog {
    let list = |names: &[&str]| names.iter().map(|&name| TargetSpec::new(name.to_owned())).collect();
    let pool =
        |name: &str, tier, targets: &[&str]| Pool { tier: Some(tier), ..Pool::new(name.to_owned(), list(targets)) };
    catalog()
        .with_pool(pool("haiku", Tier::Tool, &["openai/gpt-5-mini", "local/small"]))
        .with_pool(Pool {
            fallbacks: vec!["haiku".into()],
            strategy: Strategy::Ordered,
            ..pool("sonnet", Tier::Normal, &["claude/claude-sonnet", "openai/gpt-5"])
        })
        .with_pool(Pool { fallbacks: vec!["sonnet".into()], ..pool("opus", Tier::Advanced, &["claude/claude-opus"]) })
}

fn pool_of(catalog: &Catalog, model: &str) -> String {
    let resolved = catalog.resolve(model, Hints::default()).unwrap();
    resolved.stages[0].pool.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn s3_13_dated_names_of_vendors_reach_the_pool_of_their_tier() {
    // Without the glob for Claude's names that the other tests have.
    let catalog = Catalog { models: BTreeMap::new(), ..pools() }.check().unwrap();
    for (name, pool) in [
        ("haiku", "haiku"),
        ("claude-haiku-4-5-20251001", "haiku"),
        ("claude-3-5-haiku-latest", "haiku"),
        ("gemini-2.5-flash-lite", "haiku"),
        ("gpt-5-nano-2026-01-01", "haiku"),
        ("claude-sonnet-4-5-20250929", "sonnet"),
        ("gemini-2.5-flash", "sonnet"),
        ("claude-opus-4-1-20250805", "opus"),
        ("gemini-3-pro-preview", "opus"),
        ("CLAUDE-OPUS", "opus"),
        // A name of its own beats the words in it.
        ("gpt-7", ""),
    ] {
        assert_eq!(pool_of(&catalog, name), pool, "{name}");
    }
    let rule = catalog.resolve("gemini-2.5-flash-lite", Hints::default()).unwrap().rule;
    assert_eq!(rule, Rule::Word { pool: "haiku".into(), word: "flash-lite".into() });
    assert_eq!(catalog.resolve("opus", Hints::default()).unwrap().rule, Rule::Pool("opus".into()));
    let names: Vec<_> = catalog.names().take(3).map(ToString::to_string).collect();
    assert_eq!(names, ["haiku", "sonnet", "opus"]);
}

#[test]
fn virtual_names_and_words_can_be_chosen() {
    let renamed = Pool {
        tier: Some(Tier::Tool),
        words: vec!["turbo".into()],
        ..Pool::new("quick", vec![TargetSpec::new("openai/gpt-5-mini")])
    };
    let catalog = catalog().with_pool(renamed).with_model("q", vec![TargetSpec::new("quick")]).check().unwrap();
    assert_eq!(["quick", "x-turbo-1", "q"].map(|name| pool_of(&catalog, name)), ["quick", "quick", "quick"]);
    assert!(catalog.resolve("my-haiku", Hints::default()).is_err());
}

#[test]
fn pools_fall_back_to_others_and_no_target_comes_twice() {
    let catalog = pools().with_model("best", vec![TargetSpec::new("opus")]).check().unwrap();
    let resolved = catalog.resolve("best", Hints::default()).unwrap();
    let stages: Vec<_> =
        resolved.stages.iter().map(|stage| (stage.pool.as_deref().unwrap(), stage.targets.len())).collect();
    assert_eq!(stages, [("opus", 1), ("sonnet", 2), ("haiku", 2)]);
    assert_eq!(resolved.stages[1].strategy, Strategy::Ordered);
    assert_eq!(resolved.turns_of(), "opus");
}

#[test]
fn mistakes_of_pools_are_named() {
    let pool = |name: &str, to: &[&str]| Pool {
        fallbacks: to.iter().map(|&to| to.into()).collect(),
        ..Pool::new(name.to_owned(), vec![TargetSpec::new("openai/x")])
    };
    let errors = catalog()
        .with_pool(pool("a", &["b"]))
        .with_pool(pool("b", &["a"]))
        .with_pool(pool("c", &["nowhere"]))
        .with_pool(pool("best", &[]))
        .with_pool(Pool::new("empty", vec![]))
        .with_pool(Pool::new("lost", vec![TargetSpec::new("q/x")]))
        .check()
        .unwrap_err();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for expected in [
        "pool `a` falls back to itself: a → b → a",
        "pool `c` falls back to `nowhere`, which is no pool",
        "`best` is both a model and a pool",
        "pool `empty` has no targets",
        "pool `lost` leads to `q/x`, which is neither `provider/model` of a configured provider nor another model or pool",
    ] {
        assert!(texts.iter().any(|text| text == expected), "{expected}: {texts:#?}");
    }
}

#[test]
fn routes_look_at_headers_callers_and_whole_names() {
    let when = |change: fn(&mut Match)| {
        let mut when = Match::default();
        change(&mut when);
        when
    };
    let route = |when: Match, to: &str| Route { when, ..Route::new(RouteTo::Model(to.into())) };
    let catalog = pools()
        .with_route(route(when(|m| m.model = Some(Pattern::new("ft:*"))), "openai/tuned-*"))
        .with_route(route(when(|m| m.headers = vec![("x-team".into(), Pattern::new("plat*"))]), "haiku"))
        .with_route(Route {
            keys: vec!["night".into()],
            priority: 0,
            ..route(when(|m| m.callers = vec![Pattern::new("batch-*")]), "local/*")
        })
        .check()
        .unwrap();
    let go = |model: &str, headers: &[(&str, &str)], callers: &[&str]| {
        catalog.resolve(model, Hints { protocol: None, headers, callers }).unwrap()
    };
    assert_eq!(&*go("ft:7", &[], &[]).targets[0].model, "tuned-7");
    // An exception for a header or a caller comes before the list.
    assert_eq!(go("best", &[("X-Team", "platform")], &[]).rule, Rule::Route(1));
    assert_eq!(go("best", &[("x-team", "other")], &["laptop"]).rule, Rule::Model("best".into()));
    let both = go("best", &[("x-team", "platform")], &["anna", "batch-1"]);
    assert_eq!((both.rule, &*both.targets[0].model, &*both.keys), (Rule::Route(2), "best", &["night".into()][..]));
    assert_eq!(catalog.headers().collect::<Vec<_>>(), ["x-team"]);
}

#[test]
fn s2_18_direct_mode_keeps_to_providers_of_the_clients_protocol() {
    let mixed = vec![TargetSpec::new("openai/a"), TargetSpec::new("claude/b")];
    let direct = |catalog: Catalog| catalog.with_model("mixed", mixed.clone()).with_mode(Mode::Direct).check().unwrap();
    let catalog = direct(catalog());
    let go = |model: &str, protocol| catalog.resolve(model, Hints::new(protocol));
    let found = go("mixed", ClientProtocol::Messages).unwrap();
    assert_eq!((found.targets.len(), &*found.targets[0].provider, found.mode), (1, "claude", Mode::Direct));
    let refused = go("best", ClientProtocol::Messages).unwrap_err();
    assert_eq!(refused.class(), polyport_types::FaultClass::BadRequest);
    assert!(refused.to_string().contains("its provider `openai` does not speak the `messages` protocol"), "{refused}");
    // A route can say otherwise.
    let transform = Route {
        when: Match { contains: vec!["special".into()], ..Match::default() },
        mode: Some(Mode::Transform),
        ..Route::new(RouteTo::Provider("openai".into()))
    };
    let catalog = direct(
        Catalog::default()
            .with_provider("openai", Protocol::Chat, vec![], vec![])
            .with_provider("claude", Protocol::Messages, vec![], vec![])
            .with_route(transform),
    );
    assert!(catalog.resolve("special", Hints::new(ClientProtocol::Messages)).is_ok());
}

#[test]
fn globs_take_time_in_proportion() {
    let pattern = Pattern::new("*a".repeat(2000));
    let name = "a".repeat(1999);
    assert!(!pattern.matches(&name));
    assert!(pattern.matches(&"ba".repeat(2000)));
}
