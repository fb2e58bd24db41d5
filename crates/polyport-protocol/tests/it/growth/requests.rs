//! Requests of one shape, of any length.

use polyport_types::ClientProtocol;

/// Who sends it, what it is, how it is made.
type Shape = (ClientProtocol, &'static str, fn(usize) -> String);

pub(super) fn list(n: usize, one: impl Fn(usize) -> String) -> String {
    (0..n).map(one).collect::<Vec<_>>().join(",")
}

pub(super) const REQUESTS: &[Shape] = &[
    (ClientProtocol::Chat, "turns", |n| {
        format!(
            r#"{{"model":"m","messages":[{}]}}"#,
            list(n, |at| format!(r#"{{"role":"{}","content":"a"}}"#, if at % 2 == 0 { "user" } else { "assistant" }))
        )
    }),
    (ClientProtocol::Chat, "one side", |n| {
        format!(r#"{{"model":"m","messages":[{}]}}"#, list(n, |_| r#"{"role":"user","content":"a"}"#.to_owned()))
    }),
    (ClientProtocol::Chat, "instructions", |n| {
        format!(
            r#"{{"model":"m","messages":[{},{{"role":"user","content":"a"}}]}}"#,
            list(n, |_| r#"{"role":"system","content":"a"}"#.to_owned())
        )
    }),
    (ClientProtocol::Chat, "instructions in between", |n| {
        format!(
            r#"{{"model":"m","messages":[{}]}}"#,
            list(n, |at| format!(r#"{{"role":"{}","content":"a"}}"#, if at % 2 == 0 { "user" } else { "system" }))
        )
    }),
    (ClientProtocol::Chat, "parts", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{}]}}]}}"#,
            list(n, |_| r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#.to_owned())
        )
    }),
    (ClientProtocol::Chat, "calls of one turn", |n| {
        let calls =
            list(n, |at| format!(r#"{{"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#));
        let results = list(n, |at| format!(r#"{{"role":"tool","tool_call_id":"c{}","content":"a"}}"#, n - 1 - at));
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":null,"tool_calls":[{calls}]}},{results}]}}"#
        )
    }),
    (ClientProtocol::Chat, "unanswered calls", |n| {
        let calls =
            list(n, |at| format!(r#"{{"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#));
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":null,"tool_calls":[{calls}]}}]}}"#
        )
    }),
    (ClientProtocol::Chat, "calls with one id", |n| {
        let turns = list(n, |_| {
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"a"}"#.to_owned()
        });
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{turns}]}}"#)
    }),
    (ClientProtocol::Chat, "results of nothing", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{}]}}"#,
            list(n, |at| format!(r#"{{"role":"tool","tool_call_id":"c{at}","content":"a"}}"#))
        )
    }),
    (ClientProtocol::Chat, "deprecated calls", |n| {
        let turns = list(n, |at| {
            format!(r#"{{"role":"assistant","content":null,"function_call":{{"name":"f{at}","arguments":"{{}}"}}}}"#)
        });
        let results = list(n, |at| format!(r#"{{"role":"function","name":"f{at}","content":"a"}}"#));
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{turns},{results}]}}"#)
    }),
    (ClientProtocol::Chat, "tools", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"function","function":{{"name":"f{at}","parameters":{{"type":"object","properties":{{}}}}}}}}"#
            ))
        )
    }),
    (ClientProtocol::Chat, "odd names", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"function","function":{{"name":"{}. {at}","parameters":{{}}}}}}"#,
                "x".repeat(70)
            ))
        )
    }),
    (ClientProtocol::Chat, "allowed tools", |n| {
        let tools = list(n, |at| format!(r#"{{"type":"function","function":{{"name":"f{at}","parameters":{{}}}}}}"#));
        let allowed = list(n, |at| format!(r#"{{"type":"function","function":{{"name":"f{at}"}}}}"#));
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{tools}],"tool_choice":{{"type":"allowed_tools","allowed_tools":{{"mode":"auto","tools":[{allowed}]}}}}}}"#
        )
    }),
    (ClientProtocol::Chat, "members of a schema", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{{"type":"function","function":{{"name":"f","strict":true,"parameters":{{"type":"object","properties":{{{}}}}}}}}}]}}"#,
            list(n, |at| format!(r#""p{at}":{{"type":["string","null"],"allOf":[{{"minLength":1}}],"default":"a"}}"#))
        )
    }),
    (ClientProtocol::Chat, "references of a schema", |n| {
        let defs = list(n, |at| {
            format!(r##""d{at}":{{"type":"object","properties":{{"n":{{"$ref":"#/$defs/d{}"}}}}}}"##, (at + 1) % n)
        });
        format!(
            r##"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d0"}}}},"$defs":{{{defs}}}}}}}}}]}}"##
        )
    }),
    (ClientProtocol::Chat, "deep schema", |n| {
        let n = n / 20;
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{}{{}}{}}}}}]}}"#,
            r#"{"type":"array","items":"#.repeat(n),
            "}".repeat(n)
        )
    }),
    (ClientProtocol::Chat, "broken arguments", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"a"}}]}}"#,
            r#"{\"a\":["#.repeat(n)
        )
    }),
    (ClientProtocol::Chat, "broken texts of arguments", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"a"}}]}}"#,
            r#"{\"a\":\"\\\\u00"#.repeat(n)
        )
    }),
    (ClientProtocol::Chat, "escapes", |n| {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, r"\u00e9\n\\".repeat(n * 8))
    }),
    (ClientProtocol::Chat, "members", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{}}}"#,
            list(n, |at| format!(r#""m{at}":1"#))
        )
    }),
    (ClientProtocol::Chat, "metadata", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"metadata":{{{}}}}}"#,
            list(n, |at| format!(r#""m{at}":"1""#))
        )
    }),
    (ClientProtocol::Chat, "stops", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"stop":[{}]}}"#,
            list(n, |at| format!(r#""m{at}""#))
        )
    }),
    (ClientProtocol::Chat, "nested", |n| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"x":{}{}}}"#,
            "[".repeat(n * 8),
            "]".repeat(n * 8)
        )
    }),
    (ClientProtocol::Messages, "calls", |n| {
        let calls = list(n, |at| format!(r#"{{"type":"tool_use","id":"t{at}","name":"f","input":{{}}}}"#));
        let results =
            list(n, |at| format!(r#"{{"type":"tool_result","tool_use_id":"t{}","content":"a"}}"#, n - 1 - at));
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
        )
    }),
    (ClientProtocol::Messages, "marks", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{}]}}]}}"#,
            list(n, |_| r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#.to_owned())
        )
    }),
    (ClientProtocol::Messages, "blanks with marks", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{}]}}]}}"#,
            list(n, |_| r#"{"type":"text","text":" ","cache_control":{"type":"ephemeral"}}"#.to_owned())
        )
    }),
    (ClientProtocol::Messages, "thoughts with marks", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"thinking":{{"type":"adaptive"}},"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{}]}}]}}"#,
            list(n, |_| r#"{"type":"thinking","thinking":"a","signature":"abc","cache_control":{"type":"ephemeral"}}"#
                .to_owned())
        )
    }),
    (ClientProtocol::Messages, "server tools", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{}]}},{{"role":"user","content":"b"}}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"server_tool_use","id":"s{at}","name":"web_search","input":{{}}}},{{"type":"web_search_tool_result","tool_use_id":"s{at}","content":[]}}"#
            ))
        )
    }),
    (ClientProtocol::Messages, "citations", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{{"role":"assistant","content":[{{"type":"text","text":"x","citations":[{}]}}]}},{{"role":"user","content":"b"}}]}}"#,
            list(n, |_| {
                r#"{"type":"char_location","cited_text":"x","document_index":0,"document_title":"t","start_char_index":0,"end_char_index":1}"#.to_owned()
            })
        )
    }),
    (ClientProtocol::Messages, "instructions", |n| {
        format!(
            r#"{{"model":"m","max_tokens":9,"system":[{}],"messages":[{{"role":"user","content":"a"}}]}}"#,
            list(n, |_| r#"{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}"#.to_owned())
        )
    }),
    (ClientProtocol::Gemini, "calls", |n| {
        let calls = list(n, |_| r#"{"functionCall":{"name":"f","args":{}}}"#.to_owned());
        let results = list(n, |_| r#"{"functionResponse":{"name":"f","response":{}}}"#.to_owned());
        format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{calls}]}},{{"role":"user","parts":[{results}]}}]}}"#
        )
    }),
    (ClientProtocol::Gemini, "calls by name", |n| {
        let calls = list(n, |at| format!(r#"{{"functionCall":{{"name":"f{at}","args":{{}}}}}}"#));
        let results = list(n, |at| format!(r#"{{"functionResponse":{{"name":"f{}","response":{{}}}}}}"#, n - 1 - at));
        format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{calls}]}},{{"role":"user","parts":[{results}]}}]}}"#
        )
    }),
    (ClientProtocol::Gemini, "unanswered calls", |n| {
        let calls = list(n, |_| r#"{"functionCall":{"name":"f","args":{}}}"#.to_owned());
        format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{calls}]}}]}}"#)
    }),
    (ClientProtocol::Gemini, "results of nothing", |n| {
        format!(
            r#"{{"contents":[{{"role":"user","parts":[{}]}}]}}"#,
            list(n, |_| r#"{"functionResponse":{"name":"f","response":{}}}"#.to_owned())
        )
    }),
    (ClientProtocol::Gemini, "turns", |n| {
        format!(
            r#"{{"contents":[{}]}}"#,
            list(n, |at| format!(
                r#"{{"role":"{}","parts":[{{"text":"a"}}]}}"#,
                if at % 2 == 0 { "user" } else { "model" }
            ))
        )
    }),
    (ClientProtocol::Gemini, "calls in turns", |n| {
        format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{}]}}"#,
            list(n, |_| {
                r#"{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}"#.to_owned()
            })
        )
    }),
    (ClientProtocol::Gemini, "nested arguments", |n| {
        let n = n / 20;
        format!(
            r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}}]}},{{"role":"model","parts":[{{"functionCall":{{"name":"f","args":{}1{}}}}}]}}]}}"#,
            r#"{"a":"#.repeat(n),
            "}".repeat(n)
        )
    }),
    (ClientProtocol::Responses, "items", |n| {
        format!(
            r#"{{"model":"m","input":[{}]}}"#,
            list(n, |at| format!(r#"{{"role":"{}","content":"a"}}"#, if at % 2 == 0 { "user" } else { "assistant" }))
        )
    }),
    (ClientProtocol::Responses, "calls", |n| {
        let calls =
            list(n, |at| format!(r#"{{"type":"function_call","call_id":"c{at}","name":"f","arguments":"{{}}"}}"#));
        let results =
            list(n, |at| format!(r#"{{"type":"function_call_output","call_id":"c{}","output":"a"}}"#, n - 1 - at));
        format!(r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{calls},{results}]}}"#)
    }),
    (ClientProtocol::Responses, "long ids", |n| {
        let calls = list(n, |at| {
            format!(
                r#"{{"type":"function_call","call_id":"{}{at}","name":"f","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"{}{at}","output":"a"}}"#,
                "c".repeat(80),
                "c".repeat(80)
            )
        });
        format!(r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{calls}]}}"#)
    }),
    (ClientProtocol::Responses, "thoughts", |n| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"reasoning","id":"r{at}","summary":[{{"type":"summary_text","text":"a"}}],"encrypted_content":"x"}},{{"type":"message","id":"m{at}","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"a","annotations":[]}}]}}"#
            ))
        )
    }),
    (ClientProtocol::Responses, "thoughts alone", |n| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{},{{"role":"user","content":"a"}}]}}"#,
            list(n, |at| format!(r#"{{"type":"reasoning","id":"r{at}","summary":[],"encrypted_content":"x"}}"#))
        )
    }),
    (ClientProtocol::Responses, "hosted calls", |n| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{},{{"role":"user","content":"a"}}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"web_search_call","id":"w{at}","status":"completed","action":{{"type":"search","query":"q"}}}}"#
            ))
        )
    }),
    (ClientProtocol::Responses, "shell calls", |n| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"a"}},{},{{"role":"user","content":"a"}}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"local_shell_call","id":"l{at}","call_id":"c{at}","status":"completed","action":{{"type":"exec","command":["ls"],"env":{{}}}}}},{{"type":"local_shell_call_output","id":"o{at}","call_id":"c{at}","output":"a"}}"#
            ))
        )
    }),
    (ClientProtocol::Responses, "tools of a namespace", |n| {
        format!(
            r#"{{"model":"m","input":"a","tools":[{{"type":"namespace","name":"x","description":"d","tools":[{}]}}]}}"#,
            list(n, |at| format!(r#"{{"type":"function","name":"f{at}","parameters":{{}},"strict":false}}"#))
        )
    }),
    (ClientProtocol::Responses, "settings", |n| {
        format!(
            r#"{{"model":"m","input":[{},{{"role":"user","content":"a"}}]}}"#,
            list(n, |at| format!(
                r#"{{"type":"additional_tools","role":"developer","tools":[{{"type":"function","name":"f{at}","parameters":{{}}}}]}}"#
            ))
        )
    }),
];
