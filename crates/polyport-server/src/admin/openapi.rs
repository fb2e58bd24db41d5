//! The OpenAPI document, made from the table of endpoints, the shapes and the schema of the configuration.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::describe::{Answers, CLIENTS, Described, Sends, described};
use super::query::{LARGEST_PAGE, Parameter, Takes, parameters};
use super::refusal::{self, CODES};
use super::table::{Endpoint, TABLE, Who};
use super::{
    ROOT, figures_shapes, people_shapes, settings_shapes, setup_shapes, shapes, token_shapes, tokens, usage_shapes,
};
use crate::config::leaves::{below, leaves};
use crate::config::reference::json_schema;

/// Where components stand.
const SCHEMAS: &str = "#/components/schemas/";

/// The document as it is served.
pub(super) fn text() -> Bytes {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    TEXT.clone()
}

/// The document.
fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in TABLE {
        let path = paths.entry(format!("{ROOT}{}", endpoint.path)).or_insert_with(|| json!({}));
        let method = endpoint.method.as_str().to_lowercase();
        super::extend(path, json!({ method: operation(endpoint) }));
    }
    for (path, method, operation, summary) in CLIENTS {
        let body = (method == "post").then(
            || json!({ "required": true, "content": { "application/json": { "schema": { "type": "object" } } } }),
        );
        let answer = json!({ "description": "As the vendor answers, streamed if that was asked for.", "content": { "application/json": {} } });
        let mut about = json!({
            "operationId": operation, "summary": summary, "tags": ["clients"],
            "responses": { "200": answer, "default": { "description": "An error as the vendor writes it." } },
        });
        let names = path.split(['{', '}']).skip(1).step_by(2);
        let names: Vec<Value> = names.map(|name| in_path(name, "The name of the model.")).collect();
        if !names.is_empty() {
            super::extend(&mut about, json!({ "parameters": names }));
        }
        if let Some(body) = body {
            super::extend(&mut about, json!({ "requestBody": body }));
        }
        let path = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        super::extend(path, json!({ method: about }));
    }
    let codes = CODES.iter().map(|(code, title, remedy)| json!({ "code": code, "title": title, "remedy": remedy }));
    let codes: Vec<Value> = codes.collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Polyport",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The admin API, and what clients of models find. Lists come page by page: `next` is the `after` of the page behind it.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "security": [{ "bearer": [] }, { "key": [] }, { "session": [] }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": components(),
            "responses": problems(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "session": { "type": "apiKey", "in": "cookie", "name": "polyport", "description": "From `POST /admin/api/session`; changes also need `x-polyport-csrf`." },
            },
        },
        "x-problems": codes,
    })
}

fn tags() -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let lists = TABLE.iter().map(tag).filter(|list| seen.insert(*list)).collect::<Vec<_>>();
    lists.into_iter().chain(["clients"]).map(|name| json!({ "name": name })).collect()
}

fn tag(endpoint: &Endpoint) -> &'static str {
    endpoint.path.split(['/', '.']).next().unwrap_or_default()
}

fn operation(endpoint: &Endpoint) -> Value {
    let Described { summary, sends, answers, statuses } = described(endpoint.ask);
    let tokens = endpoint.path.starts_with("tokens");
    let has_id = endpoint.path.contains("{id}");
    let open = endpoint.who == Who::Anyone;
    let mut given: Vec<Value> = Vec::new();
    if has_id {
        given.push(in_path("id", "Its id, or its name where names are unique."));
    }
    given.extend(parameters(endpoint.ask).iter().map(parameter));
    let whole = endpoint.path == "settings";
    let conditional = matches!(endpoint.method.as_str(), "PATCH" | "DELETE") && (has_id || whole) && !tokens;
    if conditional {
        let about = "The `ETag` of an earlier answer: the change is made only if nobody made one since.";
        given.push(json!({ "name": "If-Match", "in": "header", "required": false, "description": about, "schema": { "type": "string" } }));
    }
    let mut responses = Map::new();
    let (status, schema) = answer(&answers);
    let mut headers = json!({ "x-request-id": header("The id of the request.", true) });
    if matches!(answers, Answers::One(_) | Answers::Made(_)) {
        let always = whole || endpoint.path.ends_with("{id}") || matches!(answers, Answers::Made(_));
        super::extend(&mut headers, json!({ "etag": header("What `If-Match` compares.", always) }));
    }
    if matches!(answers, Answers::Began(_)) {
        super::extend(&mut headers, json!({ "set-cookie": header("The session.", true) }));
    }
    if matches!(answers, Answers::Away) {
        super::extend(&mut headers, json!({ "set-cookie": header("What belongs to this sign-in.", true) }));
    }
    if matches!(answers, Answers::Made(_) | Answers::Away) {
        super::extend(&mut headers, json!({ "location": header("Where it is.", true) }));
    }
    let kinds: &[&str] = if let Answers::Written(kinds) = answers { kinds } else { &["application/json"] };
    let content: Map<String, Value> =
        kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": schema }))).collect();
    let shown = json!({ "description": "Done.", "headers": headers, "content": content });
    responses.insert(status.to_owned(), shown.clone());
    let mut refused: BTreeSet<u16> = statuses.iter().copied().collect();
    if !open {
        refused.extend([400, 401, 403, 429, 503]);
    }
    if has_id {
        refused.insert(404);
    }
    if endpoint.method != http::Method::GET {
        refused.extend([408, 413, 415]);
        if endpoint.path != "explain" {
            refused.extend([409, 503]);
        }
    }
    if conditional {
        refused.insert(412);
    }
    for status in refused {
        let problem = if matches!(answers, Answers::Readiness) && status == 503 {
            shown.clone()
        } else {
            json!({ "$ref": format!("#/components/responses/{}{status}", if tokens { "Token" } else { "" }) })
        };
        responses.insert(status.to_string(), problem);
    }
    let mut told = json!({ "operationId": endpoint.operation, "summary": summary, "tags": [tag(endpoint)] });
    if !given.is_empty() {
        super::extend(&mut told, json!({ "parameters": given }));
    }
    match sends {
        Sends::Nothing => {}
        Sends::Json(name) => {
            let body = json!({ "required": true, "content": { "application/json": { "schema": reference(name) } } });
            super::extend(&mut told, json!({ "requestBody": body }));
        }
        Sends::Import => {
            let content = json!({ "application/json": { "schema": reference("NewImport") }, "text/plain": { "schema": { "type": "string" } } });
            super::extend(&mut told, json!({ "requestBody": { "required": true, "content": content } }));
        }
    }
    super::extend(&mut told, json!({ "responses": responses, "x-role": endpoint.who.word() }));
    if open {
        super::extend(&mut told, json!({ "security": [] }));
    }
    told
}

/// Status and schema of an answer.
fn answer(answers: &Answers) -> (&'static str, Value) {
    let page = |list: &str, items: Value| {
        json!({
            "type": "object", "required": [list, "next"],
            "properties": {
                list: { "type": "array", "maxItems": LARGEST_PAGE, "items": items },
                "next": { "type": ["string", "null"], "description": "The `after` of the page behind this one." },
            },
        })
    };
    match answers {
        Answers::One(name) | Answers::Plain(name) => ("200", reference(name)),
        Answers::Made(name) => ("201", reference(name)),
        Answers::Began(201) => ("201", reference("Session")),
        Answers::Began(_) => ("200", reference("Session")),
        Answers::Away => ("302", json!({ "type": "object" })),
        Answers::List(list, name) => ("200", page(list, reference(name))),
        Answers::Readiness => ("200", reference("Readiness")),
        Answers::Data(name) => ("200", data(&reference(name))),
        Answers::DataList(name) => ("200", data(&json!({ "type": "array", "items": reference(name) }))),
        Answers::Document => ("200", json!({ "type": "object" })),
        Answers::Written(_) => ("200", json!({ "type": "string" })),
    }
}

fn data(schema: &Value) -> Value {
    let success = json!({ "type": "boolean", "const": true });
    json!({ "type": "object", "required": ["success", "data"], "properties": { "success": success, "data": schema } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

fn header(about: &str, required: bool) -> Value {
    json!({ "description": about, "required": required, "schema": { "type": "string" } })
}

fn problem(status: u16, schema: &str, kind: &str) -> Value {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut headers = json!({ "x-request-id": header("The id of the request.", true) });
    if status == 401 {
        super::extend(&mut headers, json!({ "www-authenticate": header("How to present a key.", true) }));
    }
    if matches!(status, 429 | 503) {
        super::extend(&mut headers, json!({ "retry-after": header("Seconds.", true) }));
    }
    json!({ "description": reason.unwrap_or("Refused"), "headers": headers, "content": { kind: { "schema": reference(schema) } } })
}

/// All statuses of refusals.
const REFUSED: [u16; 19] =
    [400, 401, 402, 403, 404, 408, 409, 412, 413, 415, 429, 499, 500, 501, 502, 503, 504, 505, 529];

fn problems() -> Map<String, Value> {
    let mut all = Map::new();
    for status in REFUSED {
        all.insert(status.to_string(), problem(status, "Problem", "application/problem+json"));
        all.insert(format!("Token{status}"), problem(status, "TokenProblem", "application/json"));
    }
    all
}

fn in_path(name: &str, about: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string", "minLength": 1 } })
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match &parameter.takes {
        Takes::Text => json!({ "type": "string", "minLength": 1, "maxLength": 1000 }),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Word(words) => json!({ "type": "string", "enum": words }),
        Takes::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
    };
    json!({ "name": parameter.name, "in": "query", "required": false, "description": parameter.about, "schema": schema })
}

/// Adds a type under the name that its schema has.
fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

fn components() -> Map<String, Value> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let all: &[fn(&mut SchemaGenerator)] = &[
        add::<refusal::Problem<'static>>,
        add::<shapes::Provider>,
        add::<shapes::Learned>,
        add::<shapes::ModelsOfProvider>,
        add::<shapes::Credential>,
        add::<shapes::CredentialStatistics>,
        add::<shapes::CredentialHealth>,
        add::<shapes::Readiness>,
        add::<shapes::Import>,
        add::<shapes::Pool>,
        add::<shapes::Route>,
        add::<shapes::Status>,
        add::<shapes::Whole>,
        add::<shapes::WholeMade>,
        add::<shapes::WholeResult>,
        add::<shapes::DeclaredProblem>,
        add::<shapes::Model>,
        add::<shapes::Price>,
        add::<setup_shapes::Preset>,
        add::<setup_shapes::TrialResult>,
        add::<setup_shapes::ClientGuide>,
        add::<shapes::Question>,
        add::<shapes::Explanation>,
        add::<shapes::Deleted>,
        add::<shapes::Export>,
        add::<settings_shapes::Settings>,
        add::<settings_shapes::Configuration>,
        add::<settings_shapes::Notification>,
        add::<settings_shapes::NotificationTest>,
        add::<settings_shapes::NotificationSent>,
        add::<usage_shapes::Request>,
        add::<usage_shapes::LedgerLine>,
        add::<usage_shapes::Usage>,
        add::<usage_shapes::Quota>,
        add::<usage_shapes::Forgotten>,
        add::<figures_shapes::Overview>,
        add::<figures_shapes::LivePast>,
        add::<figures_shapes::LiveProviders>,
        add::<figures_shapes::LiveMissed>,
        add::<figures_shapes::PoolQuestion>,
        add::<figures_shapes::PoolPreview>,
        add::<people_shapes::Team>,
        add::<people_shapes::User>,
        add::<people_shapes::Key>,
        add::<people_shapes::NewTeam>,
        add::<people_shapes::NewUser>,
        add::<people_shapes::NewKey>,
        add::<people_shapes::Rotation>,
        add::<people_shapes::Setup>,
        add::<people_shapes::FirstAdmin>,
        add::<people_shapes::SignIn>,
        add::<people_shapes::PasswordChange>,
        add::<people_shapes::NewPassword>,
        add::<people_shapes::PasswordSet>,
        add::<people_shapes::Session>,
        add::<people_shapes::SignedOut>,
        add::<people_shapes::SessionsEnded>,
        add::<people_shapes::AuditEntry>,
        add::<tokens::Token>,
        add::<token_shapes::NewToken>,
        add::<token_shapes::TokenBatch>,
        add::<token_shapes::TokenIds>,
        add::<token_shapes::TokenChange>,
        add::<token_shapes::TokenImport>,
        add::<token_shapes::TokensDeleted>,
        add::<token_shapes::TokenDeleted>,
        add::<token_shapes::TokenRefreshed>,
        add::<token_shapes::TokenQuota>,
        add::<token_shapes::TokensRefreshed>,
        add::<token_shapes::TokenStatistics>,
        add::<token_shapes::TokenHealth>,
        add::<token_shapes::TokenReadiness>,
        add::<token_shapes::TokenEvent>,
        add::<token_shapes::TokenProblem>,
    ];
    for add in all {
        add(&mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    for name in ["NewTeam", "NewUser", "NewKey"] {
        if let Some(schema) = schemas.get(name).cloned() {
            let closed = closed(&schema);
            schemas.insert(name.replace("New", "Change"), patch(&closed));
            schemas.insert(name.to_owned(), closed);
        }
    }
    declared(&mut schemas);
    schemas.sort_keys();
    schemas
}

/// With no other members.
fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    super::extend(&mut schema, json!({ "additionalProperties": false }));
    schema
}

/// As a JSON merge patch: nothing has to be given, and `null` takes a member out.
fn patch(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        members.remove("required");
        for (name, member) in members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            if !["name", "enabled", "provider"].contains(&name.as_str()) {
                *member = json!({ "anyOf": [member.clone(), { "type": "null" }] });
            }
        }
    }
    schema
}

/// Bodies in the words of the configuration file, whose schemas get the prefix `Config`.
fn declared(schemas: &mut Map<String, Value>) {
    let mut config = json_schema();
    rename(&mut config);
    let Some(Value::Object(definitions)) = config.get_mut("$defs").map(Value::take) else { return };
    let text = |about: &str| json!({ "type": "string", "minLength": 1, "description": about });
    let switch = json!({ "type": "boolean", "description": "Whether it is used. Default: true." });
    let body = |names: &[&str], needed: &[&str], own: Value| {
        let mut members = json!({});
        for name in names {
            let properties = definitions.get(*name).and_then(|schema| schema.get("properties"));
            super::extend(&mut members, properties.cloned().unwrap_or_default());
        }
        super::extend(&mut members, own);
        json!({ "type": "object", "additionalProperties": false, "required": needed, "properties": members })
    };
    let named = |about| json!({ "name": text(about), "enabled": switch });
    let route = json!({ "name": { "type": "string", "description": "For people." }, "enabled": switch });
    let credential = json!({ "name": text("For people; made from the secret where it is left out."), "enabled": switch, "provider": text("The provider that it belongs to.") });
    let bodies = [
        ("Provider", body(&["Provider"], &["name"], named("Its name, which stays."))),
        ("Credential", body(&["OAuthAccount", "ProviderKey"], &["provider"], credential)),
        ("Pool", body(&["Pool"], &["name", "targets"], named("Its name, which stays."))),
        ("Route", body(&["Route"], &["to"], route)),
    ];
    let told = |mut body: Value, needed: &[&str], about: &str| {
        super::extend(&mut body, json!({ "required": needed, "description": about }));
        body
    };
    let provider = body(&["Provider"], &[], json!({ "name": text("For people."), "enabled": switch }));
    let credential =
        body(&["OAuthAccount", "ProviderKey"], &[], json!({ "name": text("For people."), "enabled": switch }));
    let trial = json!({ "type": "object", "additionalProperties": false, "properties": {
        "provider": { "anyOf": [
            text("The name of one that is there."),
            told(provider, &[], "One that need not be there, as it would be declared."),
        ] },
        "credential": { "anyOf": [told(credential, &[], "What to try it with. Default: what it has."), { "type": "null" }] },
        "model": { "type": ["string", "null"], "minLength": 1, "description": "The provider's name of a model, which is sent one short request. Default: the provider is asked for its list of models." },
        "timeout_ms": { "type": ["integer", "null"], "minimum": 1000, "maximum": 60000, "description": "So long it may take. Default: 20000." },
    } });
    schemas.insert("Trial".to_owned(), told(trial, &["provider"], "A provider to be tried; nothing of it is kept."));
    for (name, body) in bodies {
        schemas.insert(format!("Change{name}"), patch(&body));
        schemas.insert(format!("New{name}"), body);
    }
    let mut sections: Map<String, Value> = Map::new();
    for (name, section) in config.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let kind = section.get("type").and_then(Value::as_str).unwrap_or("object");
        let about = section.get("description");
        if leaves().iter().any(|leaf| leaf.editable && below(&leaf.path, name)) {
            sections.insert(name.clone(), json!({ "type": [kind, "null"], "description": about }));
        }
    }
    let about = "A merge patch in the words of the configuration file: `null` takes away what the database says.";
    let body = json!({ "type": "object", "description": about, "additionalProperties": false, "properties": sections });
    schemas.insert("ChangeSettings".to_owned(), body);
    let entry = json!({ "anyOf": [{ "type": "string" }, { "type": "object" }] });
    let entries = json!({ "type": ["array", "null"], "items": entry });
    schemas.insert(
        "NewImport".to_owned(),
        json!({ "anyOf": [
            { "type": "array", "items": entry },
            { "type": "object", "additionalProperties": false, "properties": {
                "provider": { "type": ["string", "null"], "description": "Whose they are, where they do not say it." },
                "credentials": entries, "accounts": entries, "tokens": entries, "keys": entries,
            } },
        ] }),
    );
    // What these need, and what that needs.
    let mut wanted: Vec<String> = schemas.values().flat_map(references).collect();
    while let Some(name) = wanted.pop() {
        let found = name.strip_prefix("Config").and_then(|own| definitions.get(own));
        if let Some(schema) = found.filter(|_| !schemas.contains_key(&name)) {
            wanted.extend(references(schema));
            schemas.insert(name, schema.clone());
        }
    }
}

/// From where the configuration has its definitions to where they stand here.
fn rename(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("{SCHEMAS}Config{name}");
            }
            members.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The components that a schema refers to.
fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(SCHEMAS));
            own.map(str::to_owned).into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::people::Kind;

    #[test]
    fn the_document_is_up_to_date() {
        let text = serde_json::to_string_pretty(&document()).unwrap();
        crate::config::reference::checked_in("docs/openapi.json", &format!("{text}\n"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in references(&document) {
            assert!(schemas.contains_key(&name), "{name}");
        }
        let text = document.to_string();
        let responses = text.split("#/components/responses/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in responses {
            assert!(document["components"]["responses"].get(name).is_some(), "{name}");
        }
        for (name, schema) in schemas {
            let bundle = json!({ "$ref": format!("{SCHEMAS}{name}"), "components": document["components"] });
            assert!(jsonschema::validator_for(&bundle).is_ok(), "{name}: {schema}");
        }
    }

    #[test]
    fn bodies_have_the_members_that_are_read() {
        let schemas = components();
        for (kind, name) in [(Kind::Teams, "NewTeam"), (Kind::Users, "NewUser"), (Kind::Keys, "NewKey")] {
            let mut told: Vec<&str> =
                schemas[name]["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let mut read: Vec<&str> = kind.members().to_vec();
            told.sort_unstable();
            read.sort_unstable();
            assert_eq!(told, read, "{name}");
        }
    }

    #[test]
    fn every_endpoint_is_described() {
        for endpoint in TABLE {
            assert!(!described(endpoint.ask).summary.is_empty(), "{}", endpoint.operation);
        }
    }
}
