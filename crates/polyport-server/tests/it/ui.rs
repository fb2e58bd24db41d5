//! The admin page over real sockets: one document for all paths, files that are kept for ever.

use std::io::Read as _;
use std::net::SocketAddr;

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{Connection, RawAnswer, RawClient, get, send};
use polyport_types::Protocol;
use polyport_ui::File;

use crate::support::Gateway;

async fn gateway() -> (FakeProvider, Gateway) {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    (fake, gateway)
}

/// What is answered for a path that no client library would let through.
async fn raw(address: SocketAddr, path: &str) -> RawAnswer {
    let mut client = RawClient::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    client.send(request.as_bytes()).await.unwrap();
    client.answer().await
}

fn asset() -> &'static File {
    polyport_ui::files().iter().find(|file| file.path.starts_with("assets/")).unwrap()
}

#[tokio::test]
async fn every_path_of_the_page_answers_the_document_with_a_nonce_of_its_own() {
    let (_fake, gateway) = gateway().await;
    let mut nonces = Vec::new();
    for path in [
        "/admin",
        "/admin/",
        "/admin/tokens",
        "/admin/tokens/",
        "/admin/requests/r-1?tab=attempts",
        "/admin/apis",
        "/admin/%E4%B8%AD",
    ] {
        let answer = get(gateway.address, path, &[("accept", "*/*")]).await;
        assert_eq!(answer.status, 200, "{path}");
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        let permissions = answer.header("permissions-policy").to_owned();
        assert!(permissions.contains("camera=()") && permissions.contains("clipboard-write=(self)"), "{permissions}");
        let policy = answer.header("content-security-policy").to_owned();
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
        assert_eq!(nonce.len(), 22, "128 bits: {nonce}");
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; \
                 font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
        );
        let text = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
        assert_eq!(text, polyport_ui::INDEX.replace("POLYPORT_NONCE", &nonce), "{path}");
        assert!(!text.contains("POLYPORT_NONCE") && text.contains(&nonce), "{path}");
        nonces.push(nonce);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 7);
    gateway.stop().await;
}

#[tokio::test]
async fn browsers_are_led_to_the_page_and_probes_are_answered_as_before() {
    let (_fake, gateway) = gateway().await;
    let browser = get(gateway.address, "/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!((browser.status.as_u16(), browser.header("location")), (307, "/admin/"));
    assert_eq!((browser.header("vary"), browser.header("cache-control")), ("accept", "no-store"));
    for headers in [&[][..], &[("accept", "*/*")], &[("accept", "application/json")]] {
        let probe = get(gateway.address, "/", headers).await;
        assert!(probe.status == 200 && probe.header("content-type").starts_with("text/plain"), "{headers:?}");
    }
    assert_eq!(send(gateway.address, "HEAD", "/", &[], "").await.status, 200);
    // What lies beside the page is not the page.
    for path in ["/administrator", "/adminx/", "/index.html", "/assets/x.js"] {
        assert_eq!(get(gateway.address, path, &[]).await.status, 404, "{path}");
    }
    for path in ["/admin/api", "/admin/api/nothing"] {
        let answer = get(gateway.address, path, &[]).await;
        let is_page = answer.header("content-type").starts_with("text/html");
        assert_eq!(is_page, path == "/admin/api", "{path}");
    }
    let posted = send(gateway.address, "POST", "/admin/", &[], "").await;
    assert_eq!((posted.status.as_u16(), posted.header("allow")), (405, "GET, HEAD"));
    gateway.stop().await;
}

#[tokio::test]
async fn files_come_in_the_coding_that_is_liked_best_and_are_kept() {
    let (_fake, gateway) = gateway().await;
    for file in polyport_ui::files() {
        let path = format!("/admin/{}", file.path);
        let mut tags = Vec::new();
        for (asked, coding) in [
            (Some("gzip, deflate, br, zstd"), "br"),
            (Some("br;q=0.5, gzip"), "gzip"),
            (Some("br;q=0, gzip;q=0"), ""),
            (Some("zstd"), ""),
            (None, ""),
        ] {
            let headers: Vec<_> = asked.map(|asked| ("accept-encoding", asked)).into_iter().collect();
            let answer = get(gateway.address, &path, &headers).await;
            assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (200, coding), "{path}: {asked:?}");
            assert_eq!((answer.header("content-type"), answer.header("vary")), (file.kind, "accept-encoding"));
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            let keep =
                if file.path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
            assert_eq!(answer.header("cache-control"), keep, "{path}");
            let tag = answer.header("etag").to_owned();
            assert!(answer.header("content-length").parse::<usize>().is_ok_and(|length| length > 0));
            let bytes = answer.bytes().await.unwrap();
            let mut plain = Vec::new();
            match coding {
                "br" => assert!(bytes == file.brotli),
                "gzip" => {
                    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
                    assert!(plain == file.plain());
                }
                _ => assert!(bytes == file.plain()),
            }
            for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
                let mut headers = headers.clone();
                headers.push(("if-none-match", &known));
                let again = get(gateway.address, &path, &headers).await;
                assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag.as_str()), "{path}: {known}");
                assert_eq!((again.header("cache-control"), again.header("vary")), (keep, "accept-encoding"));
                assert!(again.bytes().await.unwrap().is_empty());
            }
            let mut headers = headers.clone();
            headers.push(("if-none-match", "\"another\""));
            assert_eq!(get(gateway.address, &path, &headers).await.status, 200);
            tags.push(tag);
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3, "each coding has a tag of its own: {tags:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_head_alone_can_be_asked_for_over_both_versions_of_http() {
    let (_fake, gateway) = gateway().await;
    let path = format!("/admin/{}", asset().path);
    for mut connection in [Connection::http1(gateway.address).await, Connection::http2(gateway.address).await] {
        for (path, kind) in [(path.as_str(), asset().kind), ("/admin/tokens", "text/html; charset=utf-8")] {
            let whole = connection.send("GET", path, &[("accept-encoding", "br")], "").await.unwrap();
            let (length, kind_of_whole) =
                (whole.header("content-length").to_owned(), whole.header("content-type").to_owned());
            let size = whole.bytes().await.unwrap().len();
            let head = connection.send("HEAD", path, &[("accept-encoding", "br")], "").await.unwrap();
            assert_eq!((head.status.as_u16(), head.header("content-type")), (200, kind), "{path}");
            assert_eq!(kind_of_whole, kind);
            assert_eq!(
                (head.header("content-length"), length),
                (size.to_string().as_str(), size.to_string()),
                "{path}"
            );
            assert!(head.bytes().await.unwrap().is_empty());
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn tricks_with_paths_reach_nothing() {
    let (_fake, gateway) = gateway().await;
    let path = asset().path;
    for trick in [
        "/admin/assets/".to_owned(),
        "/admin/assets/none.js".to_owned(),
        "/admin/assets/none-1a2b3c.css?x=1".to_owned(),
        format!("/admin/{path}/"),
        format!("/admin/{path}%00"),
        format!("/admin/{path}\\"),
        format!("/admin/./{path}"),
        format!("/admin/assets/../{path}"),
        format!("/admin/assets/%2e%2e/{path}"),
        format!("/admin/{}", path.replacen('/', "%2f", 1)).replace("%2f", "/%2e/"),
        "/admin/assets/../../../etc/passwd".to_owned(),
        "/admin/assets/..%2f..%2fetc%2fpasswd".to_owned(),
        "/admin/assets/%2E%2E/index.html".to_owned(),
        "/admin/..".to_owned(),
        "/admin/../etc/passwd".to_owned(),
        "/admin/%2e%2e/etc/passwd".to_owned(),
        "/admin/tokens/..\\..\\x".to_owned(),
        "/admin/tokens%5c..%5cx".to_owned(),
        "/admin/tokens%00.html".to_owned(),
        "/admin/.vite/../manifest.json".to_owned(),
    ] {
        let answer = raw(gateway.address, &trick).await;
        assert_eq!(answer.status, 404, "{trick}");
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{trick}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{trick}");
        assert!(text.contains("no such file") && text.contains("load the page again"), "{trick}: {text}");
    }
    // Bytes that stand in no path are refused before anything is looked for.
    for refused in ["/admin/assets/\0", "/admin/\u{1}x"] {
        let answer = raw(gateway.address, refused).await;
        assert!(matches!(answer.status, 0 | 400 | 404), "{refused:?}: {}", answer.status);
    }
    gateway.stop().await;
}
