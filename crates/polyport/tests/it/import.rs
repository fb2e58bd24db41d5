//! `polyport import`: what it says, what it makes, and that it makes nothing where something is wrong.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

use crate::{run, text};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../polyport-import/tests/fixtures").join(name)
}

/// Names below a folder, the folders of a gateway's data left out.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const APP: &str = "MODE: direct\nPORT: 8082\nHOST: 127.0.0.1\nAPI_KEY_POOLS:\n  openai:\n    keys: [sk-canary-first, sk-canary-second]\nOPENAI_API_KEY: your_api_key\nWEB_PORT: 3000\n";

#[test]
fn a_rehearsal_tells_everything_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.yml"), APP).unwrap();
    let told = run(folder.path(), &["import", "app.yml"]);
    let out = text(&told.stdout);
    assert!(told.status.success(), "{}", text(&told.stderr));
    for wanted in [
        "the conversion proxy (transformer)",
        "manual",
        "this is no key but a sample",
        "unsupported",
        "WEB_PORT",
        "polyport.yaml would be made",
        "port: 8082",
        "Nothing was changed. Add `--write`",
    ] {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    assert!(!out.contains("sk-canary"), "{out}");
    assert_eq!(names(folder.path()), ["app.yml"]);
}

#[test]
fn the_report_for_programs_has_every_finding_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.yml"), APP).unwrap();
    let out = text(&run(folder.path(), &["import", "app.yml", "--json"]).stdout);
    assert!(!out.contains("sk-canary"), "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["format"], "transformer");
    assert_eq!(told["counts"], serde_json::json!({"exact": 5, "approximate": 0, "manual": 1, "unsupported": 1}));
    assert_eq!(told["written"], false);
    assert_eq!(told["settings_file"], serde_json::json!({"path": "polyport.yaml", "written": false}));
    assert_eq!(told["credentials"].as_array().unwrap().len(), 2);
    let finding = &told["findings"].as_array().unwrap()[0];
    let members: Vec<&String> = finding.as_object().unwrap().keys().collect();
    assert_eq!(members, ["file", "path", "grade", "became", "note", "count"]);
    let quiet = text(&run(folder.path(), &["import", "app.yml", "--quiet"]).stdout);
    assert_eq!(quiet, "providers/openai\ncredentials/key 1\ncredentials/key 2\n");
}

#[test]
fn what_is_written_is_there_and_a_second_time_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yml");
    std::fs::write(&path, APP).unwrap();
    let told = run(folder.path(), &["import", "app.yml", "--write"]);
    let out = text(&told.stdout);
    assert!(told.status.success() && out.contains("3 made, 0 there already"), "{out}{}", text(&told.stderr));
    let yaml = folder.path().join("polyport.yaml");
    let made = std::fs::read_to_string(&yaml).unwrap();
    assert!(made.contains("port: 8082") && made.contains("mode: direct"), "{made}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&yaml).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let listed = text(&run(folder.path(), &["providers", "list", "--quiet"]).stdout);
    assert!(listed.contains("openai"), "{listed}");
    assert!(run(folder.path(), &["check"]).status.success());
    // Another time: nothing is made twice, and a file that is there is its owner's.
    let again = text(&run(folder.path(), &["import", "app.yml", "--write"]).stdout);
    assert!(
        again.contains("0 made, 3 there already")
            && again.contains("which stays as it is")
            && again.contains("There already, or in the environment: providers openai"),
        "{again}"
    );
    assert_eq!(std::fs::read_to_string(&yaml).unwrap(), made);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), APP);
}

#[test]
fn o13_what_is_refused_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let export = r#"{"providers": [{"name": "a", "url": "ftp://a.example", "key": "sk-canary-x"}, {"name": "b", "url": "https://b.example/v1", "key": "sk-canary-y"}], "pools": {"tool": ["b/m"]}}"#;
    std::fs::write(folder.path().join("export.json"), export).unwrap();
    let told = run(folder.path(), &["import", "export.json", "--write"]);
    let error = text(&told.stderr);
    assert_eq!(told.status.code(), Some(1));
    assert!(error.contains("nothing was imported") && error.contains("ftp") && !error.contains("canary"), "{error}");
    assert!(!folder.path().join("polyport.yaml").exists());
    let listed = text(&run(folder.path(), &["providers", "list", "--quiet"]).stdout);
    assert!(!listed.lines().any(|line| line == "b"), "{listed}");
}

#[test]
fn o13_damaged_and_foreign_files_are_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("half.json"), "{\"model_list\": [{\"model_name\": \"x\", ").unwrap();
    std::fs::write(at("noise.bin"), [0xff, 0xfe, 0, 1, 2]).unwrap();
    std::fs::write(at("bytes.yaml"), [b'a', b':', 0xc3, 0x28]).unwrap();
    std::fs::write(at("other.json"), "{\"dependencies\": {}}").unwrap();
    for (args, wanted) in [
        (vec!["missing.json"], "missing.json cannot be read"),
        (vec!["half.json"], "it ends too early (line 1"),
        (vec!["noise.bin"], "save it as UTF-8"),
        (vec!["bytes.yaml"], "neither UTF-8 text nor an SQLite database"),
        (vec!["other.json"], "What was looked for:"),
        (vec!["other.json", "--as", "nonsense"], "known are warp2api"),
        (vec!["."], "passed over"),
    ] {
        let told = run(folder.path(), &[&["import"], args.as_slice()].concat());
        assert_eq!(told.status.code(), Some(1), "{args:?}");
        let error = text(&told.stderr);
        assert!(error.contains(wanted), "{args:?}: {error}");
    }
    let formats = text(&run(folder.path(), &["import", "--formats", "--quiet"]).stdout);
    assert!(formats.lines().any(|line| line == "litellm"), "{formats}");
}

#[test]
fn a_folder_is_searched_for_what_belongs_together() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("gateway");
    std::fs::create_dir_all(source.join("config")).unwrap();
    std::fs::create_dir_all(source.join("node_modules")).unwrap();
    std::fs::copy(fixture("ai-service/models.json"), source.join("config/models.json")).unwrap();
    std::fs::copy(fixture("ai-service/dot.env"), source.join(".env")).unwrap();
    std::fs::write(source.join("package.json"), "{\"name\": \"x\"}").unwrap();
    std::fs::write(source.join("config/models.example.json"), "{").unwrap();
    std::fs::copy(fixture("antigravity/tokens.json"), source.join("node_modules/tokens.json")).unwrap();
    let told = run(folder.path(), &["import", "gateway", "--json"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["format"], "ai-service");
    let key = told["credentials"].as_array().unwrap().iter().find(|one| one["provider"] == "openai").unwrap();
    assert_ne!(key["key"], "env:OPENAI_API_KEY", "the variable was not found in .env");
    assert_eq!(
        told["missing"],
        serde_json::json!([{"variable": "ANTHROPIC_API_KEY", "left_out": "a key of `anthropic`"}])
    );
}

#[tokio::test]
async fn a_database_comes_over_with_its_clients_keys_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one-api.db");
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
    let sql = "CREATE TABLE channels(id INTEGER, type INTEGER, key TEXT, status INTEGER, name TEXT, base_url TEXT, models TEXT, `group` TEXT, model_mapping TEXT, priority INTEGER, weight INTEGER); \
         CREATE TABLE tokens(id INTEGER, user_id INTEGER, key TEXT, status INTEGER, name TEXT, expired_time INTEGER, remain_quota INTEGER, unlimited_quota NUMERIC); \
         CREATE TABLE users(id INTEGER, username TEXT, role INTEGER, status INTEGER, quota INTEGER); CREATE TABLE logs(x); \
         INSERT INTO channels VALUES (1, 1, 'sk-canary-one', 1, 'main', '', 'gpt-4o', 'default', '', 0, 1); \
         INSERT INTO tokens VALUES (1, 1, 'canarycanarycanary', 1, 'laptop', -1, 0, 1); INSERT INTO users VALUES (1, 'ada', 1, 1, 1000000)";
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let told = run(folder.path(), &["import", "one-api.db", "--write", "--json"]);
    let out = text(&told.stdout);
    assert!(told.status.success(), "{out}{}", text(&told.stderr));
    assert!(!out.contains("canary"), "{out}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["format"], &told["created"]), (&"one-api".into(), &5.into()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let keys: Value = serde_json::from_slice(&run(folder.path(), &["keys", "list", "--json"]).stdout).unwrap();
    let key = &keys["keys"].as_array().unwrap()[0];
    assert_eq!((&key["name"], &key["user"]["name"]), (&"ada laptop".into(), &"ada".into()));
}
