//! Profiles as their users meet them; each test is named by the item of the list of what other gateways can do.

use std::path::Path;
use std::sync::Arc;

use super::super::{Config, Live, OwnedBy, Purpose, Source};
use super::*;

fn source(folder: &Path, profile: &str, start: Start, variables: &[(&str, &str)]) -> Source {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let arguments = Arguments { profile: Some(profile.to_owned()), start, ..Arguments::default() };
    Source::new(None, Environment::of(variables, folder), arguments)
}

fn loaded(profile: &str, variables: &[(&str, &str)]) -> Result<(Config, String), String> {
    let loaded = source(Path::new("/nowhere"), profile, Start::Api, variables).load(&[], Purpose::Inspect);
    loaded.map(|loaded| (loaded.config, loaded.warnings.to_string())).map_err(|problems| problems.to_string())
}

fn addresses(config: &Config) -> Vec<String> {
    config.listen.all().map(|address| address.to_string()).collect()
}

const KEYS: [(&str, &str); 2] = [("API_TOKEN", "client-0123456789abcdef"), ("ADMIN_TOKEN", "admin-0123456789abcdef")];

#[test]
fn every_profile_can_be_read_and_an_unknown_one_names_them() {
    for name in names() {
        assert!(title(name).is_some_and(|title| !title.is_empty()), "{name}");
        loaded(name, &KEYS).unwrap_or_else(|problems| panic!("{name}: {problems}"));
    }
    parsed("any", ANY).unwrap();
    let told = loaded("antigravty", &[]).unwrap_err();
    assert_eq!(told, "argument --profile: error: there is no profile of this name; did you mean `antigravity`?");
    let environment = Environment::of([("POLYPORT_PROFILE".to_owned(), "zzzzzz".to_owned())], "/nowhere");
    let told =
        Source::new(None, environment, Arguments::default()).load(&[], Purpose::Inspect).unwrap_err().to_string();
    assert!(
        told.starts_with("environment variable POLYPORT_PROFILE: error:")
            && told.contains("`warp2api`, `antigravity`, `transformer`, `api-pool`, `ai-service`"),
        "{told}"
    );
}

#[test]
fn the_usual_ports_are_those_of_each_system() {
    for (name, port) in
        [("warp2api", 28889), ("antigravity", 8000), ("transformer", 8000), ("api-pool", 8899), ("ai-service", 8765)]
    {
        assert_eq!(loaded(name, &KEYS).unwrap().0.listen.port, port, "{name}");
    }
}

#[test]
fn everything_wins_over_a_profile() {
    let folder = tempfile::tempdir().unwrap();
    let with = |text: &str, variables: &[(&str, &str)], port: Option<u16>| {
        std::fs::write(folder.path().join("polyport.yaml"), text).unwrap();
        let mut source = source(folder.path(), "ai-service", Start::Api, variables);
        source.arguments.port = port;
        source.load(&[], Purpose::Inspect).unwrap().config.listen.port
    };
    assert_eq!(with("server: { host: 127.0.0.1 }", &[], None), 8765);
    assert_eq!(with("server: { port: 1001 }", &[], None), 1001);
    assert_eq!(with("server: { port: 1001 }", &[("POLYPORT_PORT", "1002")], None), 1002);
    assert_eq!(with("server: { port: 1001 }", &[("POLYPORT_PORT", "1002")], Some(1003)), 1003);
    // What the file does not say stays that of the profile.
    let config = source(folder.path(), "ai-service", Start::Api, &[]).load(&[], Purpose::Inspect).unwrap().config;
    assert_eq!(config.owned_by, OwnedBy::Adapter);
}

#[test]
fn s0_21_the_database_is_where_its_variable_says() {
    let more = [&KEYS[..], &[("WARP_TOKEN_DB_PATH", "./data/token_pool.db"), ("PORT", "9000"), ("HOST", "127.0.0.1")]];
    let (config, _) = loaded("warp2api", &more.concat()).unwrap();
    assert_eq!(config.store_url().expose(), "sqlite://./data/token_pool.db");
    assert_eq!(addresses(&config), ["127.0.0.1:9000"]);
}

#[test]
fn s0_24_a_malformed_encryption_key_is_refused() {
    let more = [&KEYS[..], &[("WARP_TOKEN_ENCRYPTION_KEY", "hunter2")]];
    let told = loaded("warp2api", &more.concat()).unwrap_err();
    assert!(told.contains("environment variable WARP_TOKEN_ENCRYPTION_KEY: error: the master key must be"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn s0_25_two_tokens_are_enough_and_sample_ones_stay_on_this_machine() {
    let (config, told) = loaded("warp2api", &KEYS).unwrap();
    assert_eq!(addresses(&config), ["0.0.0.0:28889"]);
    assert!(!config.access.open && config.access.has_keys() && config.access.has_admin_keys());
    // Polyport ships no address of Warp's token endpoint, and accounts are imported later.
    assert!(told.starts_with("environment variable WARP_REFRESH_URL: warning: it is not set"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    let url = [("WARP_REFRESH_URL", "https://app.warp.dev/proxy/token?key=KEY")];
    let told = loaded("warp2api", &[&KEYS[..], &url].concat()).unwrap().1;
    assert!(told.starts_with("profile warp2api: warning: providers.warp.oauth: there is no account"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    let samples = [("API_TOKEN", "0000"), ("ADMIN_TOKEN", "change-me"), url[0]];
    let (config, told) = loaded("warp2api", &samples).unwrap();
    assert_eq!(addresses(&config), ["127.0.0.1:28889"]);
    assert!(config.access.find("0000").is_some() && config.access.find_admin("change-me").is_some());
    assert!(
        told.contains("access.admin_keys[0]: env:ADMIN_TOKEN is a sample that everybody knows")
            && told.contains(
                "profile warp2api: warning: server.host: only this machine reaches the gateway, at 127.0.0.1"
            ),
        "{told}"
    );
    let (config, told) = loaded("warp2api", &[]).unwrap();
    assert!(!config.access.open && told.contains("access is closed, and no key stands here; set API_TOKEN"), "{told}");
}

#[test]
fn settings_of_the_warp_pool_are_read_from_its_variables() {
    let more = [
        ("WARP_POOL_HEALTH_INTERVAL_SECONDS", "120"),
        ("WARP_TOKEN_ERROR_COOLDOWN_SECONDS", "180"),
        ("WARP_ADMIN_AUTH_MODE", "off"),
    ];
    let (config, told) = loaded("warp2api", &[&KEYS[..], &more].concat()).unwrap();
    let super::super::Service::Http(warp) = &config.provider("warp").unwrap().service else { panic!("no HTTP") };
    assert_eq!(warp.probe_every.unwrap().as_secs(), 120);
    assert_eq!(warp.rests.failing.first, 180_000);
    assert!(told.contains("WARP_ADMIN_AUTH_MODE: warning: the admin API always needs a key"), "{told}");
    let wrong = [&KEYS[..], &[("WARP_POOL_HEALTH_INTERVAL_SECONDS", "often")]].concat();
    let told = loaded("warp2api", &wrong).unwrap_err();
    assert!(told.contains("WARP_POOL_HEALTH_INTERVAL_SECONDS: error: providers.warp.probe_every"), "{told}");
}

#[test]
fn s1_06_keys_are_a_json_list_and_short_ones_stay_on_this_machine() {
    let (config, told) = loaded("antigravity", &[("API_KEYS", r#"["sk-custom-key-1","sk-custom-key-2"]"#)]).unwrap();
    assert!(config.access.find("sk-custom-key-1").is_some() && config.access.find("sk-custom-key-2").is_some());
    assert!(!config.access.open && config.access.find("sk-custom-key-3").is_none());
    assert_eq!(addresses(&config), ["127.0.0.1:8000"]);
    assert!(told.contains("data/tokens.json:1:1: warning: the file is not there"), "{told}");
    assert!(config.stream_by_default);
}

#[test]
fn s1_08_host_and_port_are_those_of_the_environment() {
    let keys = ("API_KEYS", r#"["sk-0123456789abcdef"]"#);
    assert_eq!(addresses(&loaded("antigravity", &[keys]).unwrap().0), ["0.0.0.0:8000"]);
    let (config, _) = loaded("antigravity", &[keys, ("HOST", "127.0.0.1"), ("PORT", "8001")]).unwrap();
    assert_eq!(addresses(&config), ["127.0.0.1:8001"]);
}

#[test]
fn s1_02_the_file_of_tokens_is_found_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let text = r#"{"oauth_config": {"client_id": "c", "client_secret": "s", "token_url": "https://example.org/token"},
        "projects": [{"project_id": "p-1", "refresh_token": "r-1", "access_token": null, "expires_at": null},
                     {"project_id": "p-2", "refresh_token": "r-2", "access_token": null, "expires_at": null}]}"#;
    let path = folder.path().join("data/tokens.json");
    std::fs::write(&path, text).unwrap();
    let source = source(folder.path(), "antigravity", Start::Api, &[("API_KEYS", r#"["sk-0123456789abcdef"]"#)]);
    let loaded = source.load(&[], Purpose::Inspect).unwrap();
    let super::super::Service::Http(google) = &loaded.config.provider("antigravity").unwrap().service else {
        panic!("no HTTP")
    };
    let labels: Vec<&str> = google.credentials.iter().map(|one| &*one.label).collect();
    assert_eq!(labels, ["p-1", "p-2"]);
    assert!(loaded.files.contains(&path));
    std::fs::write(&path, "{").unwrap();
    let told = source.load(&[], Purpose::Inspect).unwrap().warnings.to_string();
    assert!(told.contains("providers.antigravity.oauth.file") && told.contains("tokens.json"), "{told}");
}

#[test]
fn s2_41_and_s2_42_the_pages_have_an_address_of_their_own() {
    let listens = |start| {
        let loaded = source(Path::new("/nowhere"), "transformer", start, &[]).load(&[], Purpose::Inspect).unwrap();
        addresses(&loaded.config)
    };
    assert_eq!(listens(Start::Api), ["127.0.0.1:8000"]);
    assert_eq!(listens(Start::Web), ["127.0.0.1:3000"]);
    assert_eq!(listens(Start::All), ["127.0.0.1:8000", "127.0.0.1:3000"]);
    let loaded = source(Path::new("/nowhere"), "api-pool", Start::All, &[]).load(&[], Purpose::Inspect).unwrap();
    assert_eq!(
        loaded.warnings.to_string(),
        "argument --all: warning: all of it is at one address here, so this changes nothing"
    );
}

#[test]
fn s3_19_the_port_of_the_pool_gateway_is_a_variable() {
    let (config, told) = loaded("api-pool", &[("API_PORT", "9001")]).unwrap();
    assert_eq!(addresses(&config), ["127.0.0.1:9001"]);
    assert!(config.access.open && config.access.open_was_chosen, "{told}");
    // Nobody gets in from elsewhere, whatever the variables say.
    assert_eq!(addresses(&loaded("api-pool", &[("HOST", "0.0.0.0")]).unwrap().0), ["127.0.0.1:8899"]);
}

#[test]
fn variables_of_one_api_are_taken_with_a_notice_in_every_profile() {
    let dsn =
        [("SQL_DSN", "postgres://u:hunter2@h/n"), ("REDIS_CONN_STRING", "redis://h"), ("SESSION_SECRET", "hunter2")];
    for profile in [None, Some("api-pool")] {
        let variables = dsn.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let arguments = Arguments { profile: profile.map(str::to_owned), ..Arguments::default() };
        let source = Source::new(None, Environment::of(variables, "/nowhere"), arguments);
        let loaded = source.load_text("discover: false", &[], Purpose::Inspect).unwrap();
        assert_eq!(loaded.config.store_url().expose(), "postgres://u:hunter2@h/n");
        let told = loaded.warnings.to_string();
        for (name, _) in dsn {
            assert!(told.contains(&format!("environment variable {name}: warning:")), "{told}");
        }
        assert!(!told.contains("hunter2"));
    }
    let mysql = [("SQL_DSN".to_owned(), "root:hunter2@tcp(localhost:3306)/oneapi".to_owned())];
    let source = Source::new(None, Environment::of(mysql, "/nowhere"), Arguments::default());
    let loaded = source.load_text("discover: false", &[], Purpose::Inspect).unwrap();
    assert!(loaded.config.store.url.is_none());
    assert!(loaded.warnings.to_string().contains("it names no Postgres database"));
}

#[test]
fn a_file_of_another_gateway_that_is_gone_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let path = folder.path().join("data/tokens.json");
    std::fs::write(&path, r#"{"oauth_config": {}, "projects": []}"#).unwrap();
    let keys = [("API_KEYS", r#"["sk-0123456789abcdef"]"#)];
    let live: Arc<Live> = Live::start(source(folder.path(), "antigravity", Start::Api, &keys)).unwrap().0;
    std::fs::remove_file(&path).unwrap();
    let told = live.reload().unwrap_err().to_string();
    assert!(told.contains("tokens.json:1:1: error: the file is gone; put it back"), "{told}");
}
