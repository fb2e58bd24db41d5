//! Who may use the gateway, and from where.

use super::*;

#[test]
fn listening_beyond_loopback_needs_a_good_key() {
    let open = problems("server: { host: 0.0.0.0 }");
    assert_eq!(open.len(), 1);
    assert!(open[0].starts_with("p.yaml:1:17: error: server.host: listening on 0.0.0.0 without keys"), "{open:?}");
    let forced = problems("server: { host: '::' }\naccess: { open: true, keys: [0123456789abcdefghij] }");
    assert!(forced[0].starts_with("p.yaml:2:17: error: access.open"), "{forced:?}");
    for (key, words) in [
        ("changeme", "sample"),
        ("short-key", "shorter than 16"),
        ("''", "empty"),
        ("env:NOT_SET", "NOT_SET is not set"),
    ] {
        let found = problems(&format!("server: {{ host: 0.0.0.0 }}\naccess: {{ keys: [{key}] }}"));
        assert!(found.iter().any(|problem| problem.contains(words)), "{key}: {found:?}");
        assert!(found.iter().all(|problem| !problem.contains("short-key")), "{found:?}");
    }
    let loaded = load("server: { host: 0.0.0.0 }\naccess: { keys: { name: ci, key: 0123456789abcdefghij } }");
    assert_eq!(loaded.config.access.find("0123456789abcdefghij").unwrap().name, "ci");
    assert!(!loaded.config.access.open);
}

#[test]
fn o11_weak_secrets_on_a_public_address_stop_the_start_unless_that_is_forced() {
    let examples = [
        "changeme",
        "sk-1234",
        "0000",
        "your-api-key-here",
        "aaaaaaaaaaaaaaaaaaaa",
        "pp-3f1c8a52d94be07716aa",
        "pp-8d02c6e1f7a94b35c2de",
    ];
    for key in examples {
        for list in ["keys", "admin_keys"] {
            let file = |more: &str| format!("server: {{ host: 0.0.0.0 }}\naccess: {{ {list}: ['{key}']{more} }}");
            let found = problems(&file(""));
            assert!(
                found.iter().any(|problem| problem.contains("sample") || problem.contains("shorter than 16")),
                "{key}: {found:?}"
            );
            let forced = load(&file(", weak_keys: true"));
            let told = forced.warnings.to_string();
            assert!(told.contains("sample") || told.contains("can be guessed"), "{key}: {told}");
        }
    }
    // Nothing forces an open gateway, or an empty key.
    let open = problems("server: { host: 0.0.0.0 }\naccess: { open: true, weak_keys: true }");
    assert!(open[0].contains("lets everybody on the network"), "{open:?}");
    let empty = problems("server: { host: 0.0.0.0 }\naccess: { keys: [''], weak_keys: true }");
    assert!(empty.iter().any(|problem| problem.contains("empty")), "{empty:?}");
}

#[test]
fn o11_all_keys_of_the_example_files_are_known_as_samples() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("polyport.example.yaml")).unwrap();
    let keys = text.split(['"', ' ', ',', '}']).filter(|word| word.starts_with("pp-"));
    assert!(keys.clone().count() >= 2);
    for key in keys {
        assert!(polyport_types::secret::is_sample(key), "{key}");
    }
}

#[test]
fn o8_a_path_in_the_place_of_an_address_is_told_with_the_remedy() {
    for host in ["unix:/run/polyport.sock", "/run/polyport.sock"] {
        let found = problems(&format!("server: {{ host: '{host}' }}"));
        assert!(found[0].contains("not answered at a Unix socket") && found[0].contains("127.0.0.1"), "{found:?}");
    }
    assert!(problems("server: { host: example.com }")[0].contains("this is not an IP address"));
    assert_eq!(load("server: { host: '::1' }").config.listen.address().to_string(), "[::1]:7659");
}

#[test]
fn s0_19_usual_variables_hold_keys_that_the_file_does_not_give() {
    let usual = [("API_TOKEN", "client-0123456789"), ("ADMIN_TOKEN", "admin-0123456789")];
    let access = load_with("server: { host: 0.0.0.0 }", &usual).config.access.clone();
    assert!(!access.open);
    assert_eq!(access.find("client-0123456789").unwrap().name, "env:API_TOKEN");
    assert_eq!(access.find_admin("admin-0123456789").unwrap().name, "env:ADMIN_TOKEN");
    let several = [("API_KEYS", r#"["client-0123456789ab", "client-ba9876543210"]"#), usual[1]];
    let access = load_with("server: { host: 0.0.0.0 }", &several).config.access.clone();
    assert_eq!(access.find("client-ba9876543210").unwrap().name, "env:API_KEYS[1]");
    assert!(access.find("client-0123456789").is_none() && access.keys().count() == 2);
    for wrong in ["client-0123456789", r#"["a", 1]"#, r#"{"a": "b"}"#] {
        let found = problems_with("", &[("API_KEYS", wrong)]);
        assert!(found[0].contains("env:API_KEYS is no JSON list") && !found[0].contains("0123"), "{found:?}");
    }
    let access = load_with("access: { keys: [k-1], admin_keys: [k-2] }", &usual).config.access.clone();
    assert!(access.find("k-1").is_some() && access.find_admin("k-2").is_some());
    assert!(access.find("client-0123456789").is_none() && access.find_admin("admin-0123456789").is_none());
    let access = load_with("", &[("POLYPORT_ADMIN_KEY", "k-3")]).config.access.clone();
    assert!(access.find_admin("k-3").is_some() && access.open, "an admin key closes nothing to clients");
    let found = problems_with("", &[("ADMIN_TOKEN", "changeme")]);
    assert!(found[0].contains("access.admin_keys[0]: env:ADMIN_TOKEN is a sample"), "{found:?}");
    let found = problems("access: { keys: [k-1], admin_keys: [{ name: me, key: k-1 }] }");
    assert!(found[0].contains("access.admin_keys: `me` is also a key of clients"), "{found:?}");
}

#[test]
fn proxies_are_networks() {
    let proxies = load("access: { trusted_proxies: [10.0.0.0/8, '::1'] }").config.access.trusted_proxies.clone();
    assert!(proxies.iter().any(|network| network.holds("10.2.3.4".parse().unwrap())));
    let found = problems("access: { trusted_proxies: proxy.example }");
    assert!(found[0].contains("access.trusted_proxies"), "{found:?}");
}

#[test]
fn keys_of_digits_stay_texts() {
    let loaded =
        load("access: { keys: [01234567890123456789] }\nproviders: { a: { base_url: 'http://h/v1', keys: 1.10 } }");
    assert!(loaded.config.access.find("01234567890123456789").is_some());
    assert_eq!(http(&loaded.config, "a").credentials.len(), 1);
}

#[test]
fn closed_without_keys_is_for_those_who_make_keys_elsewhere() {
    for text in ["access: { open: false }", "access: { open: false }\nserver: { host: 0.0.0.0 }"] {
        let loaded = load(text);
        assert!(!loaded.config.access.open);
        assert!(
            loaded.warnings.to_string().contains("access is closed, and no key stands here"),
            "{}",
            loaded.warnings
        );
    }
}
