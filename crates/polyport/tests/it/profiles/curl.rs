//! Commands as they stand in READMEs.

/// A `curl` command.
#[derive(Debug)]
pub(super) struct Curl {
    pub(super) method: String,
    /// Behind host and port.
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Curl {
    /// Reads one with the options that READMEs use.
    pub(super) fn parse(command: &str) -> Self {
        let mut words = words(command).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"), "{command}");
        let mut curl = Self { method: String::new(), path: String::new(), headers: Vec::new(), body: String::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "-X" | "--request" => curl.method = words.next().unwrap(),
                "-H" | "--header" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(':').unwrap();
                    curl.headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
                }
                "-d" | "--data" => curl.body = words.next().unwrap(),
                "-s" | "-N" | "-i" => {}
                url => {
                    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{command}: {url}"));
                    curl.path = format!("/{}", rest.split_once('/').map_or("", |(_, path)| path));
                }
            }
        }
        if curl.method.is_empty() {
            curl.method = if curl.body.is_empty() { "GET" } else { "POST" }.to_owned();
        }
        curl
    }
}

/// The words of a command as a shell makes them.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quote, mut chars) = (None::<String>, None, command.chars());
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(next) => word.get_or_insert_default().push(next),
            },
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    let curl = Curl::parse(
        "curl -X POST http://localhost:8082/v1/x?a=1 \\\n  -H \"Authorization: Bearer any thing\" \\\n  -d '{\n  \"a\": \"b\\n\"}'",
    );
    assert_eq!((curl.method.as_str(), curl.path.as_str()), ("POST", "/v1/x?a=1"));
    assert_eq!(curl.headers, [("authorization".to_owned(), "Bearer any thing".to_owned())]);
    assert_eq!(curl.body, "{\n  \"a\": \"b\\n\"}");
    assert_eq!(Curl::parse("curl http://127.0.0.1:28889/healthz").method, "GET");
}
