//! Streams of one shape, of any length.

use super::Shape;

fn sse(events: impl IntoIterator<Item = String>) -> String {
    events.into_iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn chat_delta(delta: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
    )
}

pub(super) fn chat(deltas: impl IntoIterator<Item = String>) -> String {
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned();
    sse(deltas.into_iter().map(|delta| chat_delta(&delta)).chain([end, "[DONE]".to_owned()]))
}

pub(super) fn call(index: usize, rest: &str) -> String {
    format!(r#"{{"tool_calls":[{{"index":{index},{rest}}}]}}"#)
}

pub(super) const CHAT: &[Shape] = &[
    ("texts", |n| chat((0..n).map(|_| r#"{"content":"a"}"#.to_owned()))),
    ("escapes", |n| chat([format!(r#"{{"content":"{}"}}"#, r"\u00e9\n".repeat(n))])),
    ("nested", |n| chat([format!(r#"{{"content":"a","x":{}{}}}"#, "[".repeat(n), "]".repeat(n))])),
    ("open nested", |n| format!("data: {}\n\n", "[".repeat(n * 10))),
    ("thoughts", |n| chat((0..n).map(|_| r#"{"reasoning_content":"a"}"#.to_owned()))),
    ("thoughts and texts", |n| {
        chat((0..n).flat_map(|_| [r#"{"reasoning_content":"a"}"#.to_owned(), r#"{"content":"b"}"#.to_owned()]))
    }),
    ("details", |n| {
        chat(
            (0..n)
                .map(|at| format!(r#"{{"reasoning_details":[{{"type":"reasoning.text","text":"a","index":{at}}}]}}"#)),
        )
    }),
    ("details with signatures", |n| {
        chat((0..n).map(|at| {
            format!(
                r#"{{"reasoning_details":[{{"type":"reasoning.encrypted","data":"a","id":"r{at}","index":{at}}}]}}"#
            )
        }))
    }),
    ("calls", |n| {
        chat((0..n).map(|at| call(at, &format!(r#""id":"c{at}","function":{{"name":"f","arguments":"{{}}"}}"#))))
    }),
    ("open calls", |n| {
        let open =
            (0..n).map(|at| call(at, &format!(r#""id":"c{at}","function":{{"name":"f","arguments":"{{\"a\":"}}"#)));
        let go_on = (0..n).map(|at| call(at, r#""function":{"arguments":"1"}"#));
        let close = (0..n).map(|at| call(at, r#""function":{"arguments":"}"}"#));
        chat(open.chain(go_on).chain(close))
    }),
    ("nameless calls", |n| chat((0..n).map(|at| call(at, r#""function":{"arguments":"{}"}"#)))),
    ("same ids", |n| chat((0..n).map(|at| call(at, r#""id":"c","function":{"name":"f","arguments":"{}"}"#)))),
    ("pieces of arguments", |n| {
        let first = call(0, r#""id":"c","function":{"name":"f","arguments":"{\"a\":\""}"#);
        chat(std::iter::once(first).chain((0..n * 4).map(|_| call(0, r#""function":{"arguments":"x"}"#))))
    }),
    ("blank arguments", |n| {
        let first = call(0, r#""id":"c","function":{"name":"f","arguments":""}"#);
        chat(std::iter::once(first).chain((0..n * 4).map(|_| call(0, r#""function":{"arguments":"          "}"#))))
    }),
    ("arguments after the end", |n| {
        let first = call(0, r#""id":"c","function":{"name":"f","arguments":"{}"}"#);
        chat(std::iter::once(first).chain((0..n * 4).map(|_| call(0, r#""function":{"arguments":"{}"}"#))))
    }),
    ("ends again and again", |n| {
        let first = chat_delta(&call(0, r#""id":"c","function":{"name":"f","arguments":"{\"a\":[1"}"#));
        let piece = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":",1"}}]},"finish_reason":"tool_calls"}]}"#;
        sse(std::iter::once(first).chain((0..n * 4).map(|_| piece.to_owned())))
    }),
    ("choices", |n| {
        sse((0..n).map(|at| {
            format!(r#"{{"choices":[{{"index":{},"delta":{{"content":"a"}},"finish_reason":"stop"}}]}}"#, at % 128)
        }))
    }),
    ("annotations", |n| {
        chat((0..n).map(|at| {
            format!(r#"{{"content":"a","annotations":[{{"type":"url_citation","url_citation":{{"url":"https://e.org/{at}","title":"t","start_index":0,"end_index":1}}}}]}}"#)
        }))
    }),
    ("citations", |n| {
        let list: Vec<String> = (0..n).map(|at| format!(r#""https://e.org/{at}""#)).collect();
        let list = list.join(",");
        sse((0..2).map(|_| {
            format!(
                r#"{{"citations":[{list}],"choices":[{{"index":0,"delta":{{"content":"a"}},"finish_reason":"stop"}}]}}"#
            )
        }))
    }),
    ("open tags", |n| chat((0..n * 4).map(|_| r#"{"content":"<"}"#.to_owned()))),
    ("audio", |n| chat((0..n).map(|_| r#"{"audio":{"id":"a","data":"AAAA","transcript":"a"}}"#.to_owned()))),
    ("members", |n| {
        sse((0..n).map(|at| format!(r#"{{"m{at}":1,"choices":[{{"index":0,"delta":{{"content":"a"}}}}]}}"#)))
    }),
    ("blank body", |n| " \n".repeat(n * 8)),
    ("comments", |n| ": x\n".repeat(n * 4)),
    ("lines of one event", |n| format!("{}\n", "data: {\n".repeat(n * 4))),
    ("bare values", |n| "{}".repeat(n * 4)),
];

pub(super) const MESSAGES: &[Shape] = &[
    ("texts", |n| {
        messages(block(
            0,
            r#"{"type":"text","text":""}"#,
            (0..n).map(|_| r#"{"type":"text_delta","text":"a"}"#.to_owned()),
        ))
    }),
    ("blocks", |n| {
        messages((0..n).flat_map(|at| {
            block(at, r#"{"type":"text","text":""}"#, [r#"{"type":"text_delta","text":"a"}"#.to_owned()])
        }))
    }),
    ("calls", |n| {
        messages((0..n).flat_map(|at| {
            let start = format!(r#"{{"type":"tool_use","id":"t{at}","name":"f","input":{{}}}}"#);
            block(at, &start, [r#"{"type":"input_json_delta","partial_json":"{}"}"#.to_owned()])
        }))
    }),
    ("open blocks", |n| {
        let start = (0..n).map(|at| format!(r#"{{"type":"content_block_start","index":{at},"content_block":{{"type":"tool_use","id":"t{at}","name":"f","input":{{}}}}}}"#));
        let deltas = (0..n).map(|at| format!(r#"{{"type":"content_block_delta","index":{at},"delta":{{"type":"input_json_delta","partial_json":"{{}}"}}}}"#));
        messages(start.chain(deltas).collect::<Vec<_>>())
    }),
    ("open texts", |n| {
        let start = (0..n).map(|at| {
            format!(r#"{{"type":"content_block_start","index":{at},"content_block":{{"type":"text","text":""}}}}"#)
        });
        let deltas = (0..n).map(|at| {
            format!(r#"{{"type":"content_block_delta","index":{at},"delta":{{"type":"text_delta","text":"a"}}}}"#)
        });
        messages(start.chain(deltas).collect::<Vec<_>>())
    }),
    ("pieces of arguments", |n| {
        messages(block(
            0,
            r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#,
            (0..n * 4).map(|_| r#"{"type":"input_json_delta","partial_json":" "}"#.to_owned()),
        ))
    }),
    ("thoughts", |n| {
        messages(block(
            0,
            r#"{"type":"thinking","thinking":"","signature":""}"#,
            (0..n).map(|_| r#"{"type":"thinking_delta","thinking":"a"}"#.to_owned()),
        ))
    }),
    ("signatures", |n| {
        messages(block(
            0,
            r#"{"type":"thinking","thinking":"","signature":""}"#,
            (0..n).map(|_| r#"{"type":"signature_delta","signature":"abcdefgh"}"#.to_owned()),
        ))
    }),
    ("thinking blocks", |n| {
        messages((0..n).flat_map(|at| {
            block(
                at,
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                [
                    r#"{"type":"thinking_delta","thinking":"a"}"#.to_owned(),
                    r#"{"type":"signature_delta","signature":"a"}"#.to_owned(),
                ],
            )
        }))
    }),
    ("citations", |n| {
        messages(block(0, r#"{"type":"text","text":""}"#, (0..n).map(|at| format!(r#"{{"type":"citations_delta","citation":{{"type":"web_search_result_location","url":"https://e.org/{at}","title":"t","cited_text":"c","encrypted_index":"x"}}}}"#))))
    }),
    ("server tools", |n| {
        messages((0..n).flat_map(|at| {
            let start = format!(r#"{{"type":"server_tool_use","id":"s{at}","name":"web_search","input":{{}}}}"#);
            let result = format!(r#"{{"type":"web_search_tool_result","tool_use_id":"s{at}","content":[]}}"#);
            block(2 * at, &start, [r#"{"type":"input_json_delta","partial_json":"{}"}"#.to_owned()])
                .into_iter()
                .chain(block(2 * at + 1, &result, []))
        }))
    }),
    ("unanswered server tools", |n| {
        messages((0..n).flat_map(|at| {
            let start = format!(r#"{{"type":"server_tool_use","id":"s{at}","name":"web_search","input":{{}}}}"#);
            block(at, &start, [r#"{"type":"input_json_delta","partial_json":"{}"}"#.to_owned()])
        }))
    }),
    ("usage", |n| {
        messages((0..n).map(|_| r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":1}}"#.to_owned()))
    }),
];

fn block(at: usize, start: &str, deltas: impl IntoIterator<Item = String>) -> Vec<String> {
    let start = format!(r#"{{"type":"content_block_start","index":{at},"content_block":{start}}}"#);
    let deltas =
        deltas.into_iter().map(|delta| format!(r#"{{"type":"content_block_delta","index":{at},"delta":{delta}}}"#));
    let stop = format!(r#"{{"type":"content_block_stop","index":{at}}}"#);
    std::iter::once(start).chain(deltas).chain([stop]).collect()
}

fn messages(events: impl IntoIterator<Item = String>) -> String {
    let start = r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#.to_owned();
    let end = [
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}"#.to_owned(),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    sse(std::iter::once(start).chain(events).chain(end))
}

fn gemini_parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},"index":0}}]}}"#)
}

fn gemini(parts: impl IntoIterator<Item = String>) -> String {
    let end = r#"{"candidates":[{"content":{"role":"model","parts":[]},"finishReason":"STOP","index":0}]}"#.to_owned();
    sse(parts.into_iter().map(|parts| gemini_parts(&parts)).chain([end]))
}

pub(super) const GEMINI: &[Shape] = &[
    ("texts", |n| gemini((0..n).map(|_| r#"{"text":"a"}"#.to_owned()))),
    ("parts", |n| gemini([vec![r#"{"text":"a"}"#; n].join(",")])),
    ("thoughts and texts", |n| gemini([vec![r#"{"text":"a","thought":true},{"text":"a"}"#; n].join(",")])),
    ("signed", |n| gemini((0..n).map(|_| r#"{"text":"a","thoughtSignature":"c2ln"}"#.to_owned()))),
    ("calls", |n| gemini((0..n).map(|at| format!(r#"{{"functionCall":{{"name":"f","args":{{"a":{at}}}}}}}"#)))),
    ("calls with one id", |n| gemini((0..n).map(|_| r#"{"functionCall":{"id":"x","name":"f","args":{}}}"#.to_owned()))),
    ("partial arguments", |n| {
        let start = r#"{"functionCall":{"id":"x","name":"f","willContinue":true}}"#.to_owned();
        let go_on = (0..n).map(|_| r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x","willContinue":true}],"willContinue":true}}"#.to_owned());
        gemini(std::iter::once(start).chain(go_on).chain([r#"{"functionCall":{}}"#.to_owned()]))
    }),
    ("partial members", |n| {
        let start = r#"{"functionCall":{"id":"x","name":"f","willContinue":true}}"#.to_owned();
        let go_on = (0..n).map(|at| {
            format!(
                r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"$.a{at}","numberValue":1}}],"willContinue":true}}}}"#
            )
        });
        gemini(std::iter::once(start).chain(go_on).chain([r#"{"functionCall":{}}"#.to_owned()]))
    }),
    ("partial elements", |n| {
        let start = r#"{"functionCall":{"id":"x","name":"f","willContinue":true}}"#.to_owned();
        let go_on = (0..n).map(|at| format!(r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"$.a[{at}]","numberValue":1}}],"willContinue":true}}}}"#));
        gemini(std::iter::once(start).chain(go_on).chain([r#"{"functionCall":{}}"#.to_owned()]))
    }),
    ("candidates", |n| {
        sse((0..n).map(|at| {
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"finishReason":"STOP","index":{}}}]}}"#,
                at % 128
            )
        }))
    }),
    ("grounding", |n| {
        let chunks = vec![r#"{"web":{"uri":"https://e.org","title":"t"}}"#; n].join(",");
        let supports: Vec<String> = (0..n)
            .map(|at| {
                format!(
                    r#"{{"segment":{{"startIndex":{at},"endIndex":{},"text":"a"}},"groundingChunkIndices":[{at}]}}"#,
                    at + 1
                )
            })
            .collect();
        let text = "a".repeat(n + 1);
        sse([
            gemini_parts(&format!(r#"{{"text":"{text}"}}"#)),
            format!(
                r#"{{"candidates":[{{"finishReason":"STOP","index":0,"groundingMetadata":{{"groundingChunks":[{chunks}],"groundingSupports":[{}]}}}}]}}"#,
                supports.join(",")
            ),
        ])
    }),
    ("grounding again and again", |n| {
        sse((0..n).map(|at| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"index":0,"groundingMetadata":{{"groundingChunks":[{{"web":{{"uri":"https://e.org/{at}","title":"t"}}}}],"groundingSupports":[{{"segment":{{"startIndex":0,"endIndex":1,"text":"a"}},"groundingChunkIndices":[0]}}]}}}}]}}"#)))
    }),
    ("code", |n| {
        gemini((0..n).map(|_| r#"{"executableCode":{"language":"PYTHON","code":"a"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"a"}}"#.to_owned()))
    }),
    ("images", |n| gemini((0..n).map(|_| r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#.to_owned()))),
    ("members", |n| {
        sse((0..n)
            .map(|at| format!(r#"{{"m{at}":1,"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"index":0}}]}}"#)))
    }),
    ("one array", |n| format!("[{}]", vec![gemini_parts(r#"{"text":"a"}"#); n].join(","))),
];

fn responses(events: impl IntoIterator<Item = String>) -> String {
    let start = r#"{"type":"response.created","response":{"id":"r","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}"#.to_owned();
    let end = r#"{"type":"response.completed","response":{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}"#.to_owned();
    sse(std::iter::once(start).chain(events).chain([end]))
}

fn item(at: usize, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.added","output_index":{at},"item":{item}}}"#)
}

fn item_done(at: usize, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.done","output_index":{at},"item":{item}}}"#)
}

fn text_delta(at: usize, content: usize) -> String {
    format!(
        r#"{{"type":"response.output_text.delta","item_id":"i{at}","output_index":{at},"content_index":{content},"delta":"a"}}"#
    )
}

pub(super) const RESPONSES: &[Shape] = &[
    ("texts", |n| {
        responses(
            std::iter::once(item(0, r#"{"type":"message","id":"i0","role":"assistant","content":[]}"#))
                .chain((0..n).map(|_| text_delta(0, 0))),
        )
    }),
    ("contents", |n| {
        responses(
            std::iter::once(item(0, r#"{"type":"message","id":"i0","role":"assistant","content":[]}"#))
                .chain((0..n).map(|at| text_delta(0, at))),
        )
    }),
    ("closed contents", |n| {
        let whole = (0..n).flat_map(|at| [text_delta(0, at), format!(r#"{{"type":"response.output_text.done","item_id":"i0","output_index":0,"content_index":{at},"text":"a"}}"#)]);
        responses(
            std::iter::once(item(0, r#"{"type":"message","id":"i0","role":"assistant","content":[]}"#)).chain(whole),
        )
    }),
    ("items", |n| {
        responses((0..n).flat_map(|at| {
            let message = |content: &str| {
                format!(r#"{{"type":"message","id":"i{at}","role":"assistant","content":[{content}]}}"#)
            };
            [
                item(at, &message("")),
                text_delta(at, 0),
                item_done(at, &message(r#"{"type":"output_text","text":"a","annotations":[]}"#)),
            ]
        }))
    }),
    ("open items", |n| {
        let open =
            (0..n).map(|at| item(at, &format!(r#"{{"type":"message","id":"i{at}","role":"assistant","content":[]}}"#)));
        responses(open.chain((0..n).map(|at| text_delta(at, 0))).collect::<Vec<_>>())
    }),
    ("open calls", |n| {
        let open = (0..n).map(|at| {
            item(at, &format!(r#"{{"type":"function_call","id":"i{at}","call_id":"c{at}","name":"f","arguments":""}}"#))
        });
        let deltas = (0..n).map(|at| format!(r#"{{"type":"response.function_call_arguments.delta","item_id":"i{at}","output_index":{at},"delta":"{{}}"}}"#));
        responses(open.chain(deltas).collect::<Vec<_>>())
    }),
    ("calls", |n| {
        responses((0..n).flat_map(|at| {
            let call = |arguments: &str| {
                format!(
                    r#"{{"type":"function_call","id":"i{at}","call_id":"c{at}","name":"f","arguments":"{arguments}"}}"#
                )
            };
            [item(at, &call("")), item_done(at, &call("{}"))]
        }))
    }),
    ("thoughts", |n| {
        responses(std::iter::once(item(0, r#"{"type":"reasoning","id":"i0","summary":[]}"#)).chain((0..n).map(|at| {
            format!(r#"{{"type":"response.reasoning_summary_text.delta","item_id":"i0","output_index":0,"summary_index":{at},"delta":"a"}}"#)
        })))
    }),
    ("annotations", |n| {
        let first = [item(0, r#"{"type":"message","id":"i0","role":"assistant","content":[]}"#), text_delta(0, 0)];
        responses(first.into_iter().chain((0..n).map(|at| {
            format!(r#"{{"type":"response.output_text.annotation.added","item_id":"i0","output_index":0,"content_index":0,"annotation_index":{at},"annotation":{{"type":"url_citation","url":"https://e.org/{at}","title":"t","start_index":0,"end_index":1}}}}"#)
        })))
    }),
    ("hosted", |n| {
        responses((0..n).flat_map(|at| {
            let call = |status: &str| format!(r#"{{"type":"web_search_call","id":"i{at}","status":"{status}","action":{{"type":"search","query":"q"}}}}"#);
            [item(at, &call("in_progress")), item_done(at, &call("completed"))]
        }))
    }),
    ("open hosted", |n| {
        responses(
            (0..n).map(|at| item(at, &format!(r#"{{"type":"web_search_call","id":"i{at}","status":"in_progress"}}"#))),
        )
    }),
    ("unknown items", |n| {
        responses((0..n).flat_map(|at| {
            [
                item(at, &format!(r#"{{"type":"new","id":"i{at}"}}"#)),
                item_done(at, &format!(r#"{{"type":"new","id":"i{at}"}}"#)),
            ]
        }))
    }),
    ("moved items", |n| {
        // Ids without positions.
        responses((0..n).map(|at| format!(r#"{{"type":"response.output_text.delta","item_id":"i{at}","delta":"a"}}"#)))
    }),
    ("last event", |n| {
        let items: Vec<String> = (0..n).map(|at| format!(r#"{{"type":"message","id":"i{at}","role":"assistant","content":[{{"type":"output_text","text":"a","annotations":[]}}]}}"#)).collect();
        sse([format!(
            r#"{{"type":"response.completed","response":{{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[{}]}}}}"#,
            items.join(",")
        )])
    }),
];
