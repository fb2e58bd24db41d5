//! What each dialect knows, as data.

use serde_json::value::RawValue;

use super::Dialect;
use crate::json::Pairs;

/// What is done about `$ref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// They stay.
    Keep,
    /// Only that of the root is expanded.
    Root,
    /// All are expanded if any is recursive; that of the root always.
    NotRecursive,
    /// Those with siblings are expanded, and those inside `allOf`.
    NoSiblings,
    /// All are expanded.
    Expand,
}

/// What is done about `additionalProperties`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Additional {
    Keep,
    /// Every object gets `false`.
    Close,
    /// It is left out.
    Drop,
}

/// Values `enum` may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enums {
    Any,
    StringsAndNumbers,
    Strings,
}

/// What a dialect knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) references: References,
    /// Keywords that stay as they are; `None` keeps every keyword not named below.
    pub(super) keep: Option<&'static [&'static str]>,
    /// Keywords that go without a trace: they constrain nothing.
    pub(super) drop: &'static [&'static str],
    /// Keywords that are written into the description.
    pub(super) describe: &'static [&'static str],
    /// Values of `format` that stay; `None` keeps all.
    pub(super) formats: Option<&'static [&'static str]>,
    pub(super) additional: Additional,
    pub(super) enums: Enums,
    /// `const` becomes an `enum` of one value.
    pub(super) const_to_enum: bool,
    /// `oneOf` becomes `anyOf`.
    pub(super) one_of_to_any: bool,
    /// `allOf` is merged into its schema.
    pub(super) merge_all_of: bool,
    /// `prefixItems` becomes `items` of any of them.
    pub(super) tuple_to_items: bool,
    /// Arrays need `items` with a type.
    pub(super) typed_items: bool,
    /// Schemas are objects, never `true` or `false`.
    pub(super) object_schemas: bool,
    /// Of several alternatives one stays, the others are described.
    pub(super) one_branch: bool,
}

/// Words about a schema that accept and refuse nothing.
const ANNOTATIONS: &[&str] = &[
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$comment",
    "$vocabulary",
    "examples",
    "example",
    "discriminator",
    "readOnly",
    "writeOnly",
    "deprecated",
    "externalDocs",
    "xml",
    "propertyOrdering",
    "contentEncoding",
    "contentMediaType",
    "markdownDescription",
    "errorMessage",
    "title",
    "$defs",
    "definitions",
];

const OPENAI_STRICT_DROPPED: &[&str] =
    &["$schema", "title", "examples", "discriminator", "$comment", "propertyOrdering"];

/// Formats that Anthropic's strict dialect enforces.
const ANTHROPIC_FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

const OPENAPI_FORMATS: &[&str] = &["int32", "int64", "float", "double", "enum", "date-time"];

const ANTHROPIC_STRICT: &[&str] = &[
    "type",
    "title",
    "description",
    "default",
    "enum",
    "const",
    "properties",
    "required",
    "items",
    "anyOf",
    "$ref",
    "$defs",
    "definitions",
    "format",
    "$schema",
    "additionalProperties",
];

const GEMINI_JSON: &[&str] = &[
    "type",
    "title",
    "description",
    "enum",
    "properties",
    "required",
    "items",
    "prefixItems",
    "anyOf",
    "$ref",
    "$defs",
    "definitions",
    "$id",
    "$anchor",
    "format",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "additionalProperties",
    "propertyOrdering",
];

const OPENAPI: &[&str] = &[
    "type",
    "description",
    "enum",
    "properties",
    "required",
    "items",
    "anyOf",
    "format",
    "nullable",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "minProperties",
    "maxProperties",
    "default",
    "propertyOrdering",
];

const PLAIN: &[&str] =
    &["type", "description", "enum", "properties", "required", "items", "anyOf", "nullable", "propertyOrdering"];

impl Rules {
    /// Nothing is changed.
    const ALL: Self = Self {
        references: References::Keep,
        keep: None,
        drop: &[],
        describe: &[],
        formats: None,
        additional: Additional::Keep,
        enums: Enums::Any,
        const_to_enum: false,
        one_of_to_any: false,
        merge_all_of: false,
        tuple_to_items: false,
        typed_items: false,
        object_schemas: false,
        one_branch: false,
    };

    pub(super) fn of(dialect: Dialect) -> Self {
        let openapi = Self {
            references: References::Expand,
            keep: Some(OPENAPI),
            drop: ANNOTATIONS,
            formats: Some(OPENAPI_FORMATS),
            additional: Additional::Drop,
            enums: Enums::Strings,
            const_to_enum: true,
            one_of_to_any: true,
            merge_all_of: true,
            tuple_to_items: true,
            typed_items: true,
            object_schemas: true,
            ..Self::ALL
        };
        match dialect {
            Dialect::AnthropicTool => Self { references: References::Root, ..Self::ALL },
            Dialect::AnthropicStrict => Self {
                references: References::NotRecursive,
                keep: Some(ANTHROPIC_STRICT),
                drop: ANNOTATIONS,
                formats: Some(ANTHROPIC_FORMATS),
                additional: Additional::Close,
                one_of_to_any: true,
                merge_all_of: true,
                tuple_to_items: true,
                typed_items: true,
                object_schemas: true,
                ..Self::ALL
            },
            Dialect::GeminiJson => Self {
                references: References::NoSiblings,
                keep: Some(GEMINI_JSON),
                drop: ANNOTATIONS,
                enums: Enums::StringsAndNumbers,
                const_to_enum: true,
                one_of_to_any: true,
                merge_all_of: true,
                object_schemas: true,
                ..Self::ALL
            },
            Dialect::GeminiOpenApi | Dialect::GeminiLike => openapi,
            Dialect::GeminiPlain => Self { keep: Some(PLAIN), formats: Some(&[]), one_branch: true, ..openapi },
            Dialect::OpenAiStrict => Self { drop: OPENAI_STRICT_DROPPED, describe: &["default"], ..Self::ALL },
            Dialect::Unversioned => Self { drop: &["$schema"], ..Self::ALL },
            Dialect::Basic => {
                Self { references: References::Expand, drop: &["$schema", "$id", "$comment", "$anchor"], ..Self::ALL }
            }
        }
    }
}

/// Whether a glance at the text shows that nothing has to be changed. Most schemas of tools pass here without being parsed.
pub(super) fn surely_fits(text: &str, dialect: Dialect) -> bool {
    let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    match dialect {
        Dialect::AnthropicTool => has_plain_object_root(text),
        Dialect::Unversioned => !["\"$schema\"", "\\u0024"].into_iter().any(has),
        Dialect::Basic => {
            !["\"$schema\"", "\"$ref\"", "\"$id\"", "\"$comment\"", "\"$anchor\"", "\\u0024"].into_iter().any(has)
        }
        Dialect::AnthropicStrict
        | Dialect::GeminiJson
        | Dialect::GeminiOpenApi
        | Dialect::GeminiPlain
        | Dialect::OpenAiStrict
        | Dialect::GeminiLike => false,
    }
}

fn has_plain_object_root(text: &str) -> bool {
    let Ok(root) = serde_json::from_str::<Pairs<'_, &RawValue>>(text) else { return false };
    let (mut object, mut properties) = (false, false);
    for (key, value) in &root.0 {
        match &**key {
            "type" => object = value.get() == "\"object\"",
            "properties" => properties = true,
            "anyOf" | "oneOf" | "allOf" | "$ref" => return false,
            _ => {}
        }
    }
    object && properties
}
