//! A1: requests that two HTTP parsers in a row could read differently, each with a second request hidden in it.

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::RawClient;
use polyport_types::Protocol;

use super::{Gateway, Setup};

/// What must come of a case. In every one of them the provider must not see the hidden request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    /// The first answer is 400 and the connection is closed after it.
    Refuse,
    /// The connection ends, with an error or without an answer; there is nothing to answer.
    Close,
    /// One legal request under both readings: it may be answered.
    Answer,
}
use Must::{Answer, Close, Refuse};

/// The request that must never be read as one.
const HIDDEN: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                      Content-Length: 79\r\n\r\n\
                      {\"model\":\"up/hidden\",\"messages\":[{\"role\":\"user\",\"content\":\"0123456789abcdef\"}]}";

/// A good body: as it is, and as one chunk.
const BODY: &str = r#"{"model":"up/open","messages":[{"role":"user","content":"hi"}]}"#;

fn chunked() -> String {
    format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len())
}

/// A head with these lines after the usual ones, then `body`.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{lines}\r\n{body}"
    )
    .into_bytes()
}

/// A head with a correct length whose lines are completed by `lines`.
fn with_length(lines: &str) -> Vec<u8> {
    post(&format!("Content-Length: {}\r\n{lines}", BODY.len()), &format!("{BODY}{HIDDEN}"))
}

/// A chunked body with this text in place of the usual chunks; the hidden request follows.
fn chunks(text: &str) -> Vec<u8> {
    post("Transfer-Encoding: chunked\r\n", &format!("{text}{HIDDEN}"))
}

/// Both a length and chunks: the hidden request begins where one of the readings ends.
fn lengths_and_chunks() -> Vec<(String, Must, Vec<u8>)> {
    let short = format!("0\r\n\r\n{HIDDEN}");
    let mut cases = Vec::new();
    for (first, second) in [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 0", "Transfer-Encoding: chunked"),
        ("content-length: 5", "TRANSFER-ENCODING: CHUNKED"),
        ("Content-Length: 5", "Transfer-Encoding:chunked"),
        ("Content-Length: 5", "Transfer-Encoding: \t chunked \t"),
        ("Content-Length: 5", "Transfer-Encoding: identity"),
        ("Content-Length: 5", "Transfer-Encoding: chunked, identity"),
        ("Content-Length: 5", "Transfer-Encoding: identity, chunked"),
        ("Content-Length: 5", "Transfer-Encoding: gzip, chunked"),
        ("Content-Length: 5", "Transfer-Encoding:"),
        ("Content-Length: 5\r\nX: y", "Transfer-Encoding: chunked\r\nZ: y"),
    ] {
        cases.push((format!("{first} | {second}"), Refuse, post(&format!("{first}\r\n{second}\r\n"), &short)));
    }
    cases
}

/// Values and shapes of Transfer-Encoding that somebody takes for chunked and somebody else does not.
fn encodings() -> Vec<(String, Must, Vec<u8>)> {
    let mut cases = Vec::new();
    for value in [
        "xchunked",
        "chunkedx",
        "chunke",
        "chunk",
        "cow",
        "identity",
        "gzip",
        "deflate",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunked; foo=bar",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "chunked, identity",
        "chunked, gzip",
        "identity, chunked",
        "gzip, chunked",
        "chunked identity",
        "chunked\u{b}",
        "\u{b}chunked",
        "chunked\u{0}",
        "chunked\u{7f}",
        "\u{a0}chunked",
        "ch\u{fc}nked",
        "",
    ] {
        let lines = format!("Transfer-Encoding: {value}\r\n");
        cases.push((format!("encoding {value:?}"), Refuse, post(&lines, &format!("{}{HIDDEN}", chunked()))));
    }
    for lines in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: x\r\n chunked\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "X: y\rTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\rX: y\r\n",
        "Transfer\u{0}-Encoding: chunked\r\n",
        "Transfer-\u{c9}ncoding: chunked\r\n",
    ] {
        cases.push((format!("{lines:?}"), Refuse, post(lines, &format!("{}{HIDDEN}", chunked()))));
    }
    // Another header altogether: the length counts.
    for lines in ["Transfer_Encoding: chunked\r\n", "X-Transfer-Encoding: chunked\r\n", "TE: chunked\r\n"] {
        cases.push((format!("{lines:?}"), Answer, post(&format!("Content-Length: {}\r\n{lines}", BODY.len()), BODY)));
    }
    cases
}

/// Lengths that parsers disagree about.
fn lengths() -> Vec<(String, Must, Vec<u8>)> {
    let n = BODY.len();
    let mut cases = Vec::new();
    for value in [
        format!("+{n}"),
        format!("-{n}"),
        format!("{n},{n}"),
        format!("{n}, {n}"),
        format!("{n},0"),
        format!("0,{n}"),
        format!("{n} {n}"),
        format!("0x{n:x}"),
        format!("{n}.0"),
        format!("{n}e0"),
        format!("{n};"),
        format!("\"{n}\""),
        format!("{n}\u{b}"),
        format!("\u{b}{n}"),
        format!("{n}\u{0}"),
        format!("{n}_0"),
        "18446744073709551616".to_owned(),
        "99999999999999999999999999".to_owned(),
        "\u{663}".to_owned(),
        "NaN".to_owned(),
        String::new(),
    ] {
        let lines = format!("Content-Length: {value}\r\n");
        cases.push((format!("length {value:?}"), Refuse, post(&lines, &format!("{BODY}{HIDDEN}"))));
    }
    for lines in [
        format!("Content-Length: {n}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {n}\r\n"),
        format!("Content-Length: {n}\r\nContent-Length: {n}\r\n"),
        format!("Content-Length: {n}\r\ncontent-length: 0{n}\r\n"),
        format!("Content-Length : {n}\r\n"),
        format!("Content-Length\t: {n}\r\n"),
        format!(" Content-Length: {n}\r\n"),
        format!("Content-Length:\r\n {n}\r\n"),
        format!("Content-Length: {n}\r\n 0\r\n"),
        format!("X: y\rContent-Length: {n}\r\n"),
        format!("Content\u{0}-Length: {n}\r\n"),
    ] {
        cases.push((format!("{lines:?}"), Refuse, post(&lines, &format!("{BODY}{HIDDEN}"))));
    }
    cases
}

/// Lines that are no headers.
fn header_lines() -> Vec<(String, Must, Vec<u8>)> {
    [
        " folded\r\n",
        "\tfolded\r\n",
        "X: y\r\n folded\r\n",
        "no colon\r\n",
        ": no name\r\n",
        "X Y: z\r\n",
        "X(Y): z\r\n",
        "X\u{b}: z\r\n",
        "X: a\rb\r\n",
        "X: a\u{0}b\r\n",
        "X: a\u{1}b\r\n",
        "X: a\u{7f}b\r\n",
        "\u{e9}: z\r\n",
        "Host: localhost\r\n",
        "Host: elsewhere\r\n",
        "host:\r\n",
    ]
    .into_iter()
    .map(|lines| (format!("line {lines:?}"), Refuse, with_length(lines)))
    .collect()
}

/// Request lines.
fn request_lines() -> Vec<(String, Must, Vec<u8>)> {
    let rest = format!(
        "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}{HIDDEN}",
        BODY.len()
    );
    let mut cases: Vec<(String, Must, Vec<u8>)> = [
        "POST /v1/chat/completions HTTP/1.2",
        "POST /v1/chat/completions HTTP/2.0",
        "POST /v1/chat/completions HTTP/3",
        "POST /v1/chat/completions http/1.1",
        "POST /v1/chat/completions HTTP/1.1 HTTP/1.1",
        "POST /v1/chat/completions HTTP/ 1.1",
        "POST /v1/chat/completions XHTTP/1.1",
        "POST /v1/chat/completions",
        "POST /v1/chat/completions\u{0} HTTP/1.1",
        "POST /v1/chat/ completions HTTP/1.1",
        "POST HTTP/1.1",
        "POST\r /v1/chat/completions HTTP/1.1",
        "PO ST /v1/chat/completions HTTP/1.1",
        "PO\u{0}ST /v1/chat/completions HTTP/1.1",
        "POST http://elsewhere/v1/chat/completions HTTP/1.1",
        "POST https://localhost@elsewhere/v1/chat/completions HTTP/1.1",
        "CONNECT localhost:443 HTTP/1.1",
        "CONNECT /v1/chat/completions HTTP/1.1",
    ]
    .into_iter()
    .map(|line| (format!("{line:?}"), Refuse, format!("{line}\r\n{rest}").into_bytes()))
    .collect();
    let type_and_length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", BODY.len());
    cases.push((
        "no host".to_owned(),
        Refuse,
        format!("POST /v1/chat/completions HTTP/1.1\r\n{type_and_length}\r\n{BODY}{HIDDEN}").into_bytes(),
    ));
    cases.push((
        "HTTP/1.0 with chunks".to_owned(),
        Refuse,
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{}{HIDDEN}",
            chunked()
        )
        .into_bytes(),
    ));
    cases.push((
        "HTTP/1.0 without keep-alive".to_owned(),
        Close,
        format!("POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n{type_and_length}\r\n{BODY}{HIDDEN}")
            .into_bytes(),
    ));
    cases.push(("HTTP/0.9".to_owned(), Refuse, format!("GET /healthz\r\n\r\n{HIDDEN}").into_bytes()));
    cases.push(("TLS".to_owned(), Close, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20)));
    cases.push(("HTTP/2 preface cut".to_owned(), Close, b"PRI * HTTP/2.0\r\n\r\nSM\r\nX\r\n\r\n".to_vec()));
    cases
}

/// Chunks that are framed in a way somebody accepts.
fn bad_chunks() -> Vec<(String, Must, Vec<u8>)> {
    let (n, good) = (format!("{:x}", BODY.len()), chunked());
    let mut cases: Vec<(String, Must, Vec<u8>)> = [
        format!("0x{n}"),
        format!("+{n}"),
        format!("-{n}"),
        format!("{n}h"),
        format!("{n}_"),
        format!("{n}\u{0}"),
        format!("{n}\u{b}"),
        format!("{n}, 0"),
        format!("\"{n}\""),
        format!("{n};ext\n"),
        format!("{n};ext\rx"),
        "g".to_owned(),
        String::new(),
        "fffffffffffffffff".to_owned(),
        "10000000000000000".to_owned(),
        format!("100000000000000{n}"),
        "-1".to_owned(),
    ]
    .into_iter()
    .map(|size| (format!("chunk size {size:?}"), Refuse, chunks(&format!("{size}\r\n{BODY}\r\n0\r\n\r\n"))))
    .collect();
    for (name, text) in [
        ("a chunk without an end", format!("{n}\r\n{BODY}0\r\n\r\n")),
        ("a chunk that ends in two other bytes", format!("{n}\r\n{BODY}XX0\r\n\r\n")),
        ("a chunk that ends in CR alone", format!("{n}\r\n{BODY}\rX0\r\n\r\n")),
        ("a chunk longer than its size", format!("3\r\n{BODY}\r\n0\r\n\r\n")),
        ("CR alone after the size", format!("{n}\r{BODY}\r\n0\r\n\r\n")),
        ("an extension without an end", format!("{n};{}\r\n{BODY}\r\n0\r\n\r\n", "x".repeat(20_000))),
        ("a folded trailer", format!("{n}\r\n{BODY}\r\n0\r\nX: y\r\n z\r\n\r\n")),
        ("a trailer without a colon", format!("{n}\r\n{BODY}\r\n0\r\nno colon\r\n\r\n")),
        ("a last chunk with an end of its own", format!("{n}\r\n{BODY}\r\n0\r\nX")),
    ] {
        cases.push((name.to_owned(), Refuse, chunks(&text)));
    }
    for (name, trailers) in [
        ("length", "Content-Length: 5\r\n"),
        ("encoding", "Transfer-Encoding: chunked\r\n"),
        ("host", "Host: elsewhere\r\n"),
        ("key", "Authorization: Bearer x\r\n"),
    ] {
        let text = post("Transfer-Encoding: chunked\r\n", &format!("{n}\r\n{BODY}\r\n0\r\n{trailers}\r\n"));
        cases.push((format!("a trailer with a {name}"), Answer, text));
    }
    cases.push(("good chunks".to_owned(), Answer, post("Transfer-Encoding: chunked\r\n", &good)));
    cases.push(("an extension".to_owned(), Answer, {
        post("Transfer-Encoding: chunked\r\n", &format!("{n};a=\"b\"\r\n{BODY}\r\n0\r\n\r\n"))
    }));
    cases.push((
        "upper case sizes".to_owned(),
        Answer,
        post("Transfer-Encoding: chunked\r\n", &format!("{}\r\n{BODY}\r\n0\r\n\r\n", n.to_uppercase())),
    ));
    cases
}

/// Ends of lines.
fn line_ends() -> Vec<(String, Must, Vec<u8>)> {
    let n = BODY.len();
    let head = "POST /v1/chat/completions HTTP/1.1\nHost: localhost\nContent-Type: application/json\n";
    vec![
        // A bare LF ends a line for every parser that accepts it at all; there is no second reading.
        ("LF alone".to_owned(), Answer, format!("{head}Content-Length: {n}\n\n{BODY}").into_bytes()),
        (
            "CR alone".to_owned(),
            Refuse,
            format!("{}Content-Length: {n}\r\r{BODY}{HIDDEN}", head.replace('\n', "\r")).into_bytes(),
        ),
        (
            "LF CR".to_owned(),
            Refuse,
            format!("{}Content-Length: {n}\n\r\n\r{BODY}{HIDDEN}", head.replace('\n', "\n\r")).into_bytes(),
        ),
        (
            "LF hides a length beside chunks".to_owned(),
            Refuse,
            format!("{head}X: y\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\r\n\r\n{HIDDEN}").into_bytes(),
        ),
        (
            "LF hides a second length".to_owned(),
            Refuse,
            format!("{head}Content-Length: {n}\nX: y\nContent-Length: {n}\n\n{BODY}{HIDDEN}").into_bytes(),
        ),
    ]
}

/// Everything the gateway says to these bytes until it closes the connection.
async fn play(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut client = RawClient::connect(gateway.address).await.unwrap();
    // The gateway may close while this is still being sent.
    client.send(bytes).await.ok();
    let heard = client.read_to_close(1 << 20).await;
    String::from_utf8_lossy(&heard).into_owned()
}

fn statuses(heard: &str) -> Vec<u16> {
    let lines = heard.split("HTTP/1.").skip(1);
    lines.filter_map(|rest| rest.get(2..5)?.parse().ok()).collect()
}

#[tokio::test]
async fn a1_a_request_read_in_two_ways_is_refused() {
    let cases: Vec<_> =
        [lengths_and_chunks(), encodings(), lengths(), header_lines(), request_lines(), bad_chunks(), line_ends()]
            .concat();
    assert!(cases.len() >= 100, "{}", cases.len());
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    // What never becomes a request is given up after this time.
    let gateway = Setup::to(&fake, Protocol::Chat).with("limits: { header_time: 1s, body_time: 1s }").start().await;
    let mut wrong = Vec::new();
    for (name, must, bytes) in &cases {
        let before = fake.requests().len();
        // A connection that is still open after the case is ended by a good request.
        let last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let heard = play(&gateway, &[bytes, &last[..]].concat()).await;
        let statuses = statuses(&heard);
        let seen = fake.requests().split_off(before);
        let hidden = seen.iter().any(|request| request.json()["model"] == "hidden");
        let good = match must {
            Refuse => statuses == [400] && seen.is_empty(),
            Close => statuses.len() <= 1 && seen.len() <= 1,
            Answer => statuses == [200, 200] && seen.len() == 1,
        };
        if !good || hidden {
            wrong.push(format!("{name}: must {must:?}, got {statuses:?}, {} requests, hidden: {hidden}", seen.len()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    fake.assert_no_violations();
}
