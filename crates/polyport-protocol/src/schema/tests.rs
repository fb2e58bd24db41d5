use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const DIALECTS: [Dialect; 7] = [
    Dialect::AnthropicTool,
    Dialect::AnthropicStrict,
    Dialect::GeminiJson,
    Dialect::GeminiOpenApi,
    Dialect::OpenAiStrict,
    Dialect::Basic,
    Dialect::GeminiLike,
];

fn converted(schema: &Value, dialect: Dialect) -> Value {
    convert(schema, dialect).0
}

fn person() -> Value {
    json!({"type": "object", "properties": {
            "age": {"type": "integer", "minimum": 0}, "nick": {"type": ["string", "null"]}},
        "required": ["age", "nick"], "additionalProperties": false})
}

#[test]
fn one_schema_in_every_dialect() {
    assert_eq!(converted(&person(), Dialect::OpenAiStrict), person());
    assert_eq!(converted(&person(), Dialect::GeminiJson), person());
    assert_eq!(
        converted(&person(), Dialect::AnthropicStrict),
        json!({"type": "object", "properties": {
                "age": {"type": "integer", "description": "(minimum: 0)"}, "nick": {"type": ["string", "null"]}},
            "required": ["age", "nick"], "additionalProperties": false})
    );
    assert_eq!(
        to_openapi(&person()),
        json!({"type": "OBJECT", "properties": {
                "age": {"type": "INTEGER", "minimum": 0}, "nick": {"type": "STRING", "nullable": true}},
            "required": ["age", "nick"], "propertyOrdering": ["age", "nick"]})
    );
    assert_eq!(fits_strict(&person()), Ok(()));
}

#[test]
fn the_order_of_properties_is_kept() {
    let schema = json!({"type": "object", "properties": {
        "z": {"type": "string", "pattern": "x"}, "a": {"type": "string"}, "m": {"const": 1}}});
    for dialect in DIALECTS {
        let out = converted(&schema, dialect);
        let names: Vec<_> = out["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["z", "a", "m"], "{dialect:?}");
    }
}

#[test]
fn constraints_move_into_the_description() {
    let schema = json!({"type": "object", "properties": {
        "code": {"type": "string", "description": "A code.", "pattern": "^x", "maxLength": 3}}});
    let (out, changes) = convert(&schema, Dialect::GeminiJson);
    assert_eq!(
        out["properties"]["code"],
        json!({"type": "string", "description": "A code. (pattern: \"^x\") (maxLength: 3)"})
    );
    assert!(!changes.is_structural());
    let mut losses = Losses::new();
    changes.report(&mut losses, LossCode::ToolSchemaRelaxed, LossCode::ToolSchemaInlined, "/tools/0");
    let [loss] = losses.entries() else { panic!("{losses:?}") };
    assert_eq!(loss.code, LossCode::ToolSchemaRelaxed);
    assert_eq!(loss.detail, "/properties/code pattern, /properties/code maxLength");
}

#[test]
fn a_property_may_be_called_like_a_keyword() {
    let schema = json!({"type": "object", "properties": {
        "const": {"type": "string"}, "pattern": {"type": "string"}, "$ref": {"type": "string"},
        "allOf": {"type": "string"}, "title": {"type": "string"}, "items": {"type": "string"}}});
    for dialect in DIALECTS {
        let out = converted(&schema, dialect);
        assert_eq!(out["properties"].as_object().unwrap().len(), 6, "{dialect:?}");
    }
}

#[test]
fn an_anthropic_tool_gets_an_object_root() {
    let root = |schema| converted(&schema, Dialect::AnthropicTool);
    assert_eq!(root(json!({})), json!({"type": "object", "properties": {}}));
    assert_eq!(root(json!(true)), json!({"type": "object", "properties": {}}));
    assert_eq!(root(json!({"properties": {"a": {}}})), json!({"type": "object", "properties": {"a": {}}}));
    assert_eq!(
        root(json!({"anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}, "required": ["b", "a"]}]})),
        json!({"type": "object", "properties": {
                "a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "b": {"type": "integer"}},
            "required": ["a"]})
    );
    assert_eq!(
        root(
            json!({"$ref": "#/$defs/Args", "$defs": {"Args": {"type": "object", "properties": {"x": {"$ref": "#/$defs/N"}}},
            "N": {"type": "number"}}})
        ),
        json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/N"}}, "$defs": {
            "Args": {"type": "object", "properties": {"x": {"$ref": "#/$defs/N"}}}, "N": {"type": "number"}}})
    );
    // Anything else of a tool that is not strict is left alone, down to the last byte.
    let raw = RawJson::parse(r#"{"type":"object","properties":{"a":{"type":"string","pattern":"x"}}}"#).unwrap();
    assert_eq!(convert_raw(&raw, Dialect::AnthropicTool), None);
}

#[test]
fn anthropic_answers_are_closed_and_free_of_alternatives_by_one_of() {
    let (out, changes) = convert(
        &json!({"type": "object", "properties": {
            "kind": {"oneOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}}}),
        Dialect::AnthropicStrict,
    );
    assert!(changes.is_structural());
    assert_eq!(
        out,
        json!({"type": "object", "properties": {
            "kind": {"anyOf": [{"type": "string", "description": "(minLength: 1)"}, {"type": "null"}]},
            "map": {"type": "object", "additionalProperties": false,
                "description": "(additionalProperties: {\"type\":\"string\"})"},
            "pair": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "description": "(minItems: 2) (maxItems: 2)"}},
            "additionalProperties": false})
    );
}

#[test]
fn recursion_ends() {
    let schema = json!({"type": "object", "properties": {"tree": {"$ref": "#/$defs/Node"}},
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "string"}}}}});
    let (out, changes) = convert(&schema, Dialect::GeminiOpenApi);
    assert_eq!(
        out,
        json!({"type": "OBJECT", "properties": {"tree": {"type": "OBJECT",
            "properties": {"next": {"type": "OBJECT"}, "v": {"type": "STRING"}},
            "propertyOrdering": ["next", "v"]}}})
    );
    let mut losses = Losses::new();
    changes.report(&mut losses, LossCode::ToolSchemaRelaxed, LossCode::ToolSchemaInlined, "");
    assert_eq!(losses.entries().len(), 1);
    assert_eq!(losses.entries()[0].code, LossCode::ToolSchemaInlined);
    // Where references are known, recursion through an optional property may stay.
    assert_eq!(converted(&schema, Dialect::GeminiJson), schema);
    assert!(converted(&schema, Dialect::AnthropicStrict).get("$defs").is_none());
}

#[test]
fn definitions_that_multiply_stay_small() {
    let mut definitions = serde_json::Map::new();
    for level in 0..15 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(
            format!("d{level}"),
            json!({"type": "object", "properties": {
            "a": next, "b": next, "c": next, "d": next, "e": next, "f": next, "g": next, "h": next}}),
        );
    }
    definitions.insert("d15".to_owned(), json!({"type": "string"}));
    let out = converted(&json!({"$ref": "#/$defs/d0", "$defs": definitions}), Dialect::GeminiOpenApi);
    assert!(out.to_string().len() < 8 << 20);
}

#[test]
fn words_beside_a_reference_survive_where_they_are_refused() {
    let schema = json!({"type": "object", "properties": {
            "a": {"$ref": "#/$defs/S", "description": "the first"}, "b": {"$ref": "#/$defs/S"}},
        "$defs": {"S": {"type": "string", "description": "a word"}}});
    let out = converted(&schema, Dialect::GeminiJson);
    assert_eq!(out["properties"]["a"], json!({"type": "string", "description": "the first"}));
    assert_eq!(out["properties"]["b"], json!({"$ref": "#/$defs/S"}));

    let tree = json!({"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {
        "next": {"$ref": "#/$defs/N", "description": "the next one"}}}}});
    let out = converted(&tree, Dialect::GeminiJson);
    assert_eq!(out["$defs"]["N"]["properties"]["next"], json!({"$ref": "#/$defs/N"}), "recursion is kept");
}

#[test]
fn all_of_is_merged() {
    let schema = json!({"allOf": [
            {"$ref": "#/$defs/Base"},
            {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}],
        "$defs": {"Base": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}});
    let out = converted(&schema, Dialect::GeminiJson);
    assert_eq!(out["properties"], json!({"a": {"type": "string"}, "b": {"type": "string"}}));
    assert_eq!(out["required"], json!(["a", "b"]));
    assert_eq!(out["type"], "object");
}

#[test]
fn enums_of_other_things_than_words() {
    let out = to_openapi(&json!({"type": "object", "properties": {
        "n": {"enum": [1, 2]}, "s": {"type": "string", "enum": ["a", null]}, "c": {"const": "x"}, "u": {}}}));
    assert_eq!(
        out["properties"],
        json!({"n": {"type": "INTEGER", "description": "(enum: [1,2])"},
            "s": {"type": "STRING", "enum": ["a"], "nullable": true},
            "c": {"type": "STRING", "enum": ["x"]},
            "u": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}, {"type": "BOOLEAN"}]}})
    );
    let out = converted(&json!({"enum": [true, false]}), Dialect::GeminiJson);
    assert_eq!(out, json!({"type": "boolean", "description": "(enum: [true,false])"}));
    // A null in front of the type counts as well.
    let out = converted(&json!({"enum": ["a", null], "type": "string"}), Dialect::GeminiJson);
    assert_eq!(out, json!({"enum": ["a"], "type": ["string", "null"]}));
}

#[test]
fn alternatives_with_null_become_nullable() {
    let out = to_openapi(&json!({"type": "object", "properties": {
        "a": {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}], "description": "d"},
        "b": {"type": ["string", "integer", "null"]}}}));
    assert_eq!(
        out["properties"],
        json!({"a": {"type": "STRING", "maxLength": 2, "description": "d", "nullable": true},
            "b": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": true}})
    );
}

#[test]
fn arrays_need_typed_items() {
    let out = to_openapi(&json!({"type": "array", "items": {}}));
    assert_eq!(out["items"], json!({"type": "STRING"}));
    let out = to_openapi(&json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}));
    assert_eq!(out["items"], json!({"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}]}));
    assert_eq!((&out["minItems"], &out["maxItems"]), (&json!(2), &json!(2)));
}

#[test]
fn gemini_schemas_are_read() {
    let schema = json!({"type": "OBJECT", "properties": {
            "b": {"type": "STRING", "nullable": true, "example": "x"},
            "a": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int64"}, "minItems": "1"},
            "c": {"type": "STRING", "format": "enum", "enum": ["X", "Y"]},
            "d": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": true}},
        "propertyOrdering": ["a", "b"], "required": ["a"]});
    assert_eq!(
        from_openapi(&schema),
        json!({"type": "object", "properties": {
                "a": {"type": "array", "items": {"type": "integer", "format": "int64"}, "minItems": 1},
                "b": {"type": ["string", "null"]},
                "c": {"type": "string", "enum": ["X", "Y"]},
                "d": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}},
            "required": ["a"]})
    );
    let names: Vec<_> = from_openapi(&schema)["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(from_openapi(&to_openapi(&person())).get("required"), person().get("required"));
}

#[test]
fn the_basic_level_drops_the_dialect_and_references() {
    let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string", "minLength": 1}}});
    assert_eq!(
        converted(&schema, Dialect::Basic),
        json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}})
    );
    let plain = RawJson::of(&person());
    assert_eq!(convert_raw(&plain, Dialect::Basic), None);
}

#[test]
fn gemini_behind_chat_gets_lower_case() {
    let out = converted(&person(), Dialect::GeminiLike);
    assert_eq!(
        out,
        json!({"type": "object", "properties": {
                "age": {"type": "integer", "minimum": 0}, "nick": {"type": "string", "nullable": true}},
            "required": ["age", "nick"]})
    );
}

#[test]
fn strict_says_what_does_not_fit() {
    let cases = [
        (json!({"type": "array", "items": {"type": "string"}}), "root"),
        (json!({"anyOf": [], "type": "object"}), "alternatives"),
        (json!({"type": "object", "properties": {}}), "closed"),
        (json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}), "optional"),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"],
            "additionalProperties": false}),
            "minLength",
        ),
        (
            json!({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": false}),
            "no type",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"],
            "additionalProperties": false}),
            "items",
        ),
    ];
    for (schema, word) in cases {
        let problem = fits_strict(&schema).unwrap_err();
        assert!(problem.contains(word), "{problem} does not name {word}");
    }
}

#[test]
fn roots_that_are_no_objects_are_wrapped() {
    let list = json!({"type": "array", "items": {"$ref": "#/$defs/I"}, "$defs": {"I": {"type": "integer"}}});
    assert!(!has_object_root(&list));
    assert_eq!(
        wrap_in_object(&list, "value"),
        json!({"type": "object", "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/I"}}},
            "required": ["value"], "additionalProperties": false, "$defs": {"I": {"type": "integer"}}})
    );
    assert!(has_object_root(&person()));
    assert!(has_object_root(&json!({"$ref": "#/$defs/P", "$defs": {"P": {"type": "object"}}})));
}

/// Schemas with every keyword the dialects treat, also nonsensical ones.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        Just(json!({"type": "string", "minLength": 1, "format": "email"})),
        Just(json!({"type": ["integer", "null"], "minimum": 0, "default": 3})),
        Just(json!({"type": "STRING", "nullable": true})),
        Just(json!({"enum": ["a", 1, null]})),
        Just(json!({"const": {"$ref": "#/nowhere"}})),
        Just(json!({"$ref": "#/$defs/a", "description": "d"})),
        Just(json!({"$ref": "#"})),
        Just(json!({"type": "array"})),
        Just(json!({"x-vendor": 1, "unknown": {"deep": []}})),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let named = prop::collection::vec(("[a-c]|type|properties", inner.clone()), 0..4)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
        let many = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array);
        let word = prop::sample::select(vec![
            "anyOf",
            "oneOf",
            "allOf",
            "prefixItems",
            "items",
            "properties",
            "not",
            "additionalProperties",
            "patternProperties",
            "required",
        ]);
        prop::collection::vec((word, prop_oneof![inner, named, many]), 1..4)
            .prop_map(|pairs| Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
    })
}

proptest! {
    #[test]
    fn converting_twice_is_converting_once(mut schema in schemas(), definition in schemas()) {
        if let Value::Object(root) = &mut schema {
            root.insert("$defs".to_owned(), json!({"a": definition}));
        }
        for dialect in DIALECTS {
            let once = converted(&schema, dialect);
            let twice = converted(&once, dialect);
            prop_assert_eq!(&once, &twice, "{:?} of {}", dialect, schema);
        }
        drop(fits_strict(&schema));
        let read = from_openapi(&schema);
        prop_assert_eq!(from_openapi(&read), read.clone());
        drop(wrap_in_object(&schema, "value"));
        let object = has_object_root(&schema);
        prop_assert_eq!(object, has_object_root(&schema));
    }
}
