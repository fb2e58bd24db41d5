//! Things that providers keep for their clients: files, batches, caches and their like.

use polyport_protocol::Profile;
use polyport_server::config::{Access, Config, Credential, KeyHash, Provider};
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{RawClient, Reply, get, post, send};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::support::{Gateway, http, provider, several};

const ANA: &str = "pp-0123456789abcdef0123456789abcdef";
const BEN: &str = "pp-fedcba9876543210fedcba9876543210";

/// A provider with these credentials.
pub(crate) fn with_keys(name: &str, protocol: Protocol, fake: &FakeProvider, keys: &[&str]) -> Provider {
    let mut made = provider(name, protocol, &fake.base_url());
    let style = polyport_provider::AuthStyle::of_protocol(protocol);
    http(&mut made).credentials = keys
        .iter()
        .map(|key| Credential::key(*key, style.header(&polyport_types::Secret::new((*key).to_owned())).unwrap()))
        .collect();
    made
}

async fn started(mut config: Config, folder: &tempfile::TempDir) -> Gateway {
    config.data = folder.path().to_owned();
    Gateway::start(config).await
}

/// For several callers.
fn shared(mut config: Config) -> Config {
    config.access = Access::default().with_key("ana", KeyHash::of(ANA)).with_key("ben", KeyHash::of(BEN));
    config
}

fn form(file: &[u8], model: Option<&str>) -> Vec<u8> {
    let mut form = b"--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    form.extend_from_slice(file);
    if let Some(model) = model {
        let part = format!("\r\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}");
        form.extend_from_slice(part.as_bytes());
    }
    form.extend_from_slice(b"\r\n--xyz--\r\n");
    form
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=xyz");

pub(crate) async fn sent_file(gateway: &Gateway, headers: &[(&str, &str)], file: &[u8]) -> Reply {
    let headers: Vec<(&str, &str)> = [FORM].iter().chain(headers).copied().collect();
    send(gateway.address, "POST", "/v1/files", &headers, form(file, None)).await
}

pub(crate) async fn id(answer: Reply) -> String {
    assert_eq!(answer.status, 200);
    answer.json().await["id"].as_str().unwrap().to_owned()
}

async fn refused(answer: Reply) -> (u16, Value) {
    (answer.status.as_u16(), answer.json().await["error"].clone())
}

#[tokio::test]
async fn a_file_lives_at_the_credential_that_took_it() {
    for (protocol, version) in
        [(Protocol::Chat, None), (Protocol::Responses, None), (Protocol::Messages, Some("2023-06-01"))]
    {
        let folder = tempfile::tempdir().unwrap();
        let fake = FakeProvider::start(protocol).await;
        let gateway = started(several(vec![with_keys("up", protocol, &fake, &["one", "two"])]), &folder).await;
        let headers: Vec<(&str, &str)> = version.map(|version| ("anthropic-version", version)).into_iter().collect();
        let file = id(sent_file(&gateway, &headers, b"hello\0").await).await;
        assert_eq!(fake.last().body(), &form(b"hello\0", None), "{protocol}");
        assert_eq!(fake.last().header("content-type"), Some(FORM.1));
        assert_eq!(fake.last().header("anthropic-version"), version);
        let path = format!("/v1/files/{file}");
        assert_eq!(get(gateway.address, &path, &headers).await.json().await["id"], *file);
        let content = get(gateway.address, &format!("{path}/content?key=ours"), &headers).await;
        assert_eq!(content.header("content-type"), "application/octet-stream");
        assert_eq!(content.bytes().await.unwrap(), form(b"hello\0", None));
        assert_eq!(fake.last().query(), "");
        let list = get(gateway.address, "/v1/files?limit=5", &headers).await.json().await;
        assert_eq!((list["data"][0]["id"].as_str(), fake.last().query()), (Some(&*file), "limit=5"));
        assert_eq!(send(gateway.address, "DELETE", &path, &headers, "").await.json().await["deleted"], true);
        let asked = fake.requests().len();
        assert_eq!(refused(get(gateway.address, &path, &headers).await).await.0, 404);
        assert_eq!(fake.requests().len(), asked, "nobody is asked for what is unknown");
    }
}

#[tokio::test]
async fn a_large_file_waits_on_disk_and_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = several(vec![provider("up", Protocol::Chat, &fake.base_url())]);
    config.limits.request_body_bytes = 64 << 10;
    config.limits.upload_bytes = 3 << 20;
    let gateway = started(config, &folder).await;
    let file: Vec<u8> = (0..2 << 20).map(|at: u32| (at % 251) as u8).collect();
    id(sent_file(&gateway, &[], &file).await).await;
    assert!(*fake.last().body() == form(&file, None), "the file arrives as it was sent");
    assert_eq!(fake.last().header("content-length"), Some(&*form(&file, None).len().to_string()));
    let (status, error) = refused(sent_file(&gateway, &[], &vec![0; 4 << 20]).await).await;
    assert_eq!((status, error["message"].as_str()), (413, Some("the body exceeds 3 MiB")));
    let large = json!({"input_file_id": "x".repeat(128 << 10)});
    assert_eq!(refused(post(gateway.address, "/v1/batches", &[], &large).await).await.0, 413);
    assert_eq!(fake.requests().len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = started(several(vec![provider("up", Protocol::Chat, &fake.base_url())]), &folder).await;
    let mut client = RawClient::connect(gateway.address).await.unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncontent-length: 9000000\r\n\r\n",
        FORM.1
    );
    client.send(head.as_bytes()).await.unwrap();
    client.send(&vec![b'x'; 1 << 20]).await.unwrap();
    client.reset().unwrap();
    let file = id(sent_file(&gateway, &[], b"whole").await).await;
    assert_eq!((fake.requests().len(), file.as_str()), (1, "files-1"));
}

#[tokio::test]
async fn a14_of_several_callers_each_reaches_only_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = started(shared(several(vec![with_keys("up", Protocol::Chat, &fake, &["one"])])), &folder).await;
    let (ana, ben) = ([("x-goog-api-key", ANA)], [("x-goog-api-key", BEN)]);
    let file = id(sent_file(&gateway, &ana, b"a").await).await;
    let other = id(sent_file(&gateway, &ben, b"b").await).await;
    for (caller, own) in [(&ana, &file), (&ben, &other)] {
        let list = get(gateway.address, "/v1/files", caller).await.json().await;
        let ids: Vec<&str> =
            list["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [own.as_str()]);
    }
    let asked = fake.requests().len();
    for (method, path) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
        let answer = send(gateway.address, method, &format!("/v1/files/{file}{path}"), &ben, "").await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }
    let stolen = json!({"input_file_id": file, "endpoint": "/v1/responses", "completion_window": "24h"});
    let (status, error) = refused(post(gateway.address, "/v1/batches", &ben, &stolen).await).await;
    assert_eq!(status, 404);
    assert!(error["message"].as_str().unwrap().contains(&*file), "{error}");
    assert_eq!(fake.requests().len(), asked, "the provider hears nothing of it");

    // What a client writes into its own things opens nothing.
    let mut batch = stolen.clone();
    batch["input_file_id"] = json!(other);
    batch["metadata"] = json!({"id": file, "output_file_id": file});
    let batch = post(gateway.address, "/v1/batches", &ben, &batch).await.json().await;
    assert_eq!(get(gateway.address, &format!("/v1/files/{file}"), &ben).await.status, 404);
    // What a batch writes is known with it.
    let output = format!("/v1/files/{}/content", batch["output_file_id"].as_str().unwrap());
    assert_eq!(get(gateway.address, &output, &ben).await.bytes().await.unwrap(), b"{}\n");
    assert_eq!(get(gateway.address, &output, &ana).await.status, 404);
    assert_eq!(get(gateway.address, "/v1/files", &[]).await.status, 401);
}

#[tokio::test]
async fn what_refers_to_a_file_goes_where_the_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let providers =
        vec![provider("a", Protocol::Chat, &first.base_url()), provider("b", Protocol::Chat, &second.base_url())];
    let gateway = started(several(providers), &folder).await;
    // Its place is busy: the next provider takes the file.
    first.go_away();
    let answer = sent_file(&gateway, &[], b"x").await;
    assert_eq!(answer.status, 502, "what may have been done is not done again");
    drop(answer);
    let file = id(post(gateway.address, "/v1/fine_tuning/jobs", &[], &json!({"model":"b-m"})).await).await;
    assert_eq!(second.last().json()["model"], "m");
    first.come_back().await;
    let job = json!({"model":"b-m","training_file": file});
    let made = post(gateway.address, "/v1/fine_tuning/jobs", &[], &job).await;
    assert_eq!((made.status.as_u16(), made.header("x-polyport-target")), (200, "b/m"), "{file}");
    assert_eq!(second.last().json()["model"], "m");
    let other = json!({"training_file": file});
    assert_eq!(post(gateway.address, "/v1/fine_tuning/jobs", &[], &other).await.header("x-polyport-target"), "b");
    let cancel = format!("/v1/fine_tuning/jobs/{}/cancel", made.json().await["id"].as_str().unwrap());
    assert_eq!(send(gateway.address, "POST", &cancel, &[], "").await.header("x-polyport-target"), "b");
}

#[tokio::test]
async fn a_batch_of_messages_names_models_as_the_provider_does() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Messages).await;
    let gateway = started(several(vec![with_keys("up", Protocol::Messages, &fake, &["one", "two"])]), &folder).await;
    let version = [("anthropic-version", "2023-06-01")];
    let request = |model: &str| json!({"custom_id": "1", "params": {"model": model, "max_tokens": 5, "messages": []}});
    let body = json!({"requests": [request("m"), request("up-m")]});
    let batch = post(gateway.address, "/v1/messages/batches", &version, &body).await.json().await;
    assert_eq!(fake.last().json(), json!({"requests": [request("m"), request("m")]}));
    let results = format!("http://{}/v1/messages/batches/{}/results", gateway.address, batch["id"].as_str().unwrap());
    assert_eq!(batch["results_url"], *results);
    let path = results.split_once(&gateway.address.to_string()).unwrap().1;
    assert_eq!(get(gateway.address, path, &version).await.status, 200);
    assert_eq!(
        get(gateway.address, path.trim_end_matches("/results"), &version).await.json().await["results_url"],
        *results
    );
    let (status, error) = refused(
        post(gateway.address, "/v1/messages/batches", &version, &json!({"requests": [request("m"), request("none")]}))
            .await,
    )
    .await;
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("requests.1.params.model"), "{error}");
}

#[tokio::test]
async fn a_gemini_file_is_uploaded_in_two_steps_through_the_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = started(several(vec![with_keys("up", Protocol::Gemini, &fake, &["one", "two"])]), &folder).await;
    let start = [("x-goog-upload-protocol", "resumable"), ("x-goog-upload-command", "start")];
    let began = post(gateway.address, "/upload/v1beta/files?key=ours", &start, &json!({"file":{}})).await;
    assert_eq!((began.status.as_u16(), began.header("x-goog-upload-status")), (200, "active"));
    assert_eq!((fake.last().path(), fake.last().query()), ("/upload/v1beta/files", ""));
    assert_eq!(fake.last().header("x-goog-upload-command"), Some("start"));
    let url = began.header("x-goog-upload-url").to_owned();
    let (_, target) = url.split_once(&format!("http://{}", gateway.address)).unwrap_or_else(|| panic!("{url}"));
    let bytes: Vec<u8> = vec![7; 1 << 20];
    let finish = [("x-goog-upload-command", "upload, finalize"), ("content-type", "application/json")];
    let done = send(gateway.address, "POST", target, &finish, bytes.clone()).await;
    assert_eq!(done.header("x-goog-upload-status"), "final");
    let file = done.json().await["file"]["name"].as_str().unwrap().to_owned();
    assert!(*fake.last().body() == bytes);
    assert_eq!(get(gateway.address, &format!("/v1beta/{file}"), &[]).await.json().await["name"], *file);
    let content = get(gateway.address, &format!("/v1beta/{file}:download?alt=media"), &[]).await;
    assert!(content.bytes().await.unwrap() == bytes);
    assert_eq!(get(gateway.address, "/v1beta/files", &[]).await.json().await["files"][0]["name"], *file);
    let unknown = get(gateway.address, "/v1beta/files/none", &[]).await;
    assert_eq!((unknown.status.as_u16(), unknown.json().await["error"]["status"].clone()), (404, json!("NOT_FOUND")));

    let begun = post(gateway.address, "/v1beta/models/up-m:batchGenerateContent", &[], &json!({"batch":{}})).await;
    assert_eq!(fake.last().path(), "/v1beta/models/m:batchGenerateContent");
    drop(begun);
}

#[tokio::test]
async fn without_a_provider_that_has_it_the_error_speaks_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut generic = provider("up", Protocol::Chat, &fake.base_url());
    generic.profile = std::sync::Arc::new(Profile::named("generic").unwrap());
    let gateway = started(several(vec![generic]), &folder).await;
    let version: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
    for (path, headers, pointer, word) in [
        ("/v1/files", &[][..], "/error/type", "invalid_request_error"),
        ("/v1/vector_stores/vs_1", &[], "/error/type", "invalid_request_error"),
        ("/v1/files", version, "/error/type", "not_found_error"),
        ("/v1/messages/batches", version, "/error/type", "not_found_error"),
        ("/v1/skills", version, "/error/type", "not_found_error"),
        ("/v1beta/cachedContents", &[], "/error/status", "NOT_FOUND"),
        ("/v1/organization/users", &[], "/error/type", "invalid_request_error"),
    ] {
        let answer = get(gateway.address, path, headers).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json().await.pointer(pointer).unwrap(), word, "{path}");
    }
    assert_eq!(send(gateway.address, "TRACE", "/v1/files", &[], "").await.status, 405);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a17_no_path_leads_out_of_its_collection() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = started(several(vec![provider("up", Protocol::Chat, &fake.base_url())]), &folder).await;
    for path in ["/v1/files/..", "/v1/files/a%2f..%2fb", "/v1/files//x", "/v1/files/%2e%2e/models", "/v1/files/{model}"]
    {
        assert_eq!(get(gateway.address, path, &[]).await.status, 404, "{path}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_form_behind_a_large_file_names_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = started(several(vec![provider("up", Protocol::Chat, &fake.base_url())]), &folder).await;
    let sound: Vec<u8> = vec![9; 1 << 20];
    let path = "/v1/audio/transcriptions";
    drop(send(gateway.address, "POST", path, &[FORM], form(&sound, Some("up-m"))).await);
    assert!(*fake.last().body() == form(&sound, Some("m")), "only the model's name is another");
}
