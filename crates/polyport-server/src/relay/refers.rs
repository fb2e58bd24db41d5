//! Ids in bodies: which things of a provider a request refers to, and which an answer tells of.

use std::borrow::Cow;
use std::fmt;

use polyport_types::{ClientProtocol, Text};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Members of requests that hold ids of things that a provider keeps.
const REFERRING: [&str; 21] = [
    "file_id",
    "file_ids",
    "input_file_id",
    "training_file",
    "validation_file",
    "vector_store_id",
    "vector_store_ids",
    "container",
    "container_id",
    "assistant_id",
    "thread_id",
    "upload_id",
    "eval_id",
    "batch_id",
    "cachedContent",
    "cached_content",
    "fileName",
    "file_name",
    "fileUri",
    "file_uri",
    "image_file_id",
];

/// Members of answers in which a provider names what it has made. Not those that a client may have written.
struct Telling {
    names: &'static [&'static str],
    /// Members that hold descriptions of their own, written by the provider alone.
    within: &'static [&'static str],
}

const TELLING: Telling =
    Telling { names: &["id", "output_file_id", "error_file_id", "result_files", "thread_id"], within: &["file"] };

const TELLING_GEMINI: Telling =
    Telling { names: &["id", "name", "responsesFile"], within: &["file", "metadata", "response", "output", "dest"] };

/// What a body refers to, in the order it stands there. A body that is no JSON refers to nothing.
pub(crate) fn references(body: &[u8]) -> Vec<Text> {
    collected(body, &|path| path.last().is_some_and(|name| REFERRING.contains(&&**name)))
        .iter()
        .filter_map(|text| id_in(text))
        .collect()
}

/// What a request for an answer refers to that a provider may keep: files, caches, containers, items of earlier answers. Most bodies refer to
/// nothing, and are not read for it.
pub(crate) fn things(wire: ClientProtocol, body: &[u8]) -> Vec<Text> {
    let words: &[&str] = match wire {
        ClientProtocol::Chat => &["\"file_id\""],
        ClientProtocol::Messages => &["\"file_id\"", "\"container\""],
        ClientProtocol::Responses => &["\"file_id\"", "\"container\"", "\"vector_store_ids\"", ITEM],
        ClientProtocol::Gemini => &["\"fileUri\"", "\"file_uri\"", "\"cachedContent\"", "\"cached_content\""],
    };
    let holds = |word: &&&str| memchr::memmem::find(body, word.as_bytes()).is_some();
    let Some(first) = words.iter().find(holds) else { return Vec::new() };
    let mut found = if *first == ITEM { Vec::new() } else { references(body) };
    if wire == ClientProtocol::Responses && holds(&&ITEM) {
        found.extend(items(body));
    }
    found
}

/// How the input names an item of an earlier answer.
const ITEM: &str = "\"item_reference\"";

fn items(body: &[u8]) -> Vec<Text> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        input: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Item {
        r#type: Option<String>,
        id: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<Body<'_>>(body) else { return Vec::new() };
    let items: Vec<Item> = serde_json::from_str(body.input.get()).unwrap_or_default();
    let referred = items.into_iter().filter(|item| item.r#type.as_deref() == Some("item_reference"));
    referred.filter_map(|item| item.id.map(Text::from)).collect()
}

/// The ids of the items of an answer of the Responses protocol, the first ones.
pub(crate) fn made_items(output: &[u8]) -> Vec<Text> {
    const MOST: usize = 64;
    #[derive(Deserialize)]
    struct Item {
        id: Option<String>,
    }
    let items: Vec<Item> = serde_json::from_slice(output).unwrap_or_default();
    items.into_iter().filter_map(|item| item.id.map(Text::from)).take(MOST).collect()
}

/// What an answer about one thing tells of: itself, and what was made with it.
pub(crate) fn told(answer: &[u8], gemini: bool) -> Vec<Text> {
    let telling = if gemini { TELLING_GEMINI } else { TELLING };
    let names = collected(answer, &|path| match path.split_last() {
        Some((last, before)) => {
            telling.names.contains(&&**last) && before.iter().all(|name| telling.within.contains(&&**name))
        }
        None => false,
    });
    names.into_iter().map(Text::from).collect()
}

/// The id in a member's value: the value itself, or the end of an address of Gemini's.
fn id_in(text: &str) -> Option<Text> {
    match text.rsplit_once("/files/") {
        Some((before, id)) if before.contains("://") => {
            // An address of something else on the web is no id.
            let version = before.rsplit('/').next().unwrap_or_default();
            version.starts_with('v').then(|| Text::from(format!("files/{id}")))
        }
        _ if text.contains("://") || text.is_empty() => None,
        _ => Some(Text::from(text)),
    }
}

/// All strings, alone or in lists, of the members that `wanted` picks by their path of names.
fn collected(body: &[u8], wanted: &dyn Fn(&[Text]) -> bool) -> Vec<String> {
    let mut walk = Walk { wanted, path: Vec::new(), found: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // What was found before a mistake counts; whoever reads the body finds the mistake.
    deserializer.deserialize_any(&mut walk).ok();
    walk.found
}

struct Walk<'w> {
    wanted: &'w dyn Fn(&[Text]) -> bool,
    path: Vec<Text>,
    found: Vec<String>,
}

impl<'de> DeserializeSeed<'de> for &mut Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if (self.wanted)(&self.path) {
            self.found.push(text.to_owned());
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            self.path.push(Text::from(&*name));
            map.next_value_seed(&mut *self)?;
            self.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_refers_to_ids_and_addresses() {
        let body = br#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}],"tools":[{"vector_store_ids":["vs_1","vs_2"]}],
            "cachedContent":"cachedContents/c","container":{"type":"auto","file_ids":["file-2"]},
            "p":{"fileData":{"fileUri":"https://g.com/v1beta/files/abc"}},"q":{"fileUri":"https://youtube.com/watch?v=1"}}"#;
        assert_eq!(
            references(body),
            ["file-1", "vs_1", "vs_2", "cachedContents/c", "file-2", "files/abc"].map(Text::from)
        );
        assert!(references(b"no json").is_empty());
    }

    #[test]
    fn a_request_for_an_answer_is_read_only_where_it_may_refer_to_something() {
        use ClientProtocol::{Gemini, Messages, Responses};
        let body = br#"{"input":[{"type":"item_reference","id":"rs_1"},{"type":"message","id":"msg_1"},
            {"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#;
        assert_eq!(things(Responses, body), ["file-1", "rs_1"].map(Text::from));
        let body =
            br#"{"input":[{"type":"item_reference","id":"rs_1"}],"tools":[{"vector_store_id":"not asked for"}]}"#;
        assert_eq!(things(Responses, body), ["rs_1"].map(Text::from));
        assert!(things(Messages, br#"{"messages":[{"content":"file_id"}]}"#).is_empty());
        let body = br#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://g.com/v1beta/files/abc"}}]}]}"#;
        assert_eq!(things(Gemini, body), ["files/abc"].map(Text::from));
        assert_eq!(made_items(br#"[{"id":"a"},{"type":"x"},{"id":"b"}]"#), ["a", "b"].map(Text::from));
        assert!(made_items(b"{}").is_empty());
    }

    #[test]
    fn a14_what_a_client_wrote_tells_nothing() {
        let answer =
            br#"{"id":"batch_1","name":"file-of-another","metadata":{"id":"file-of-another"},"output_file_id":"file-2",
            "result_files":["file-3"],"data":[{"id":"file-4"}],"file":{"id":"file-5"}}"#;
        assert_eq!(told(answer, false), ["batch_1", "file-2", "file-3", "file-5"].map(Text::from));
        let answer =
            br#"{"name":"batches/1","metadata":{"output":{"responsesFile":"files/out"}},"displayName":"files/x"}"#;
        assert_eq!(told(answer, true), ["batches/1", "files/out"].map(Text::from));
    }
}
