//! Templates: compiled once, rendered for each request. They reach nothing but the request: no files, no other templates; time and memory
//! have a bound.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use minijinja::value::{Serde, merge_maps};
use minijinja::{AutoEscape, Environment, ErrorKind, Output, UndefinedBehavior, Value as Item};
use polyport_types::Text;
use serde_json::{Map, Value};

use super::{Declaration, Mistake, filters};

/// Steps that the templates of one request may take; a step also stands for 64 bytes that are made.
const FUEL: u64 = 10_000_000;

/// Calls inside calls of a template's macros.
const RECURSION: usize = 64;

/// Levels of a body.
const DEPTH: usize = 64;

/// Name of the value of an expression.
const RESULT: &str = "polyport_result";

/// Members of a list that is made of another list.
const FOR: &str = "$for";
const IF: &str = "$if";
const DO: &str = "$do";

/// What templates may read that no Chat body has, and what of it that stands for.
const MADE_UP: [(&str, &str); 3] = [("system", "messages"), ("turns", "messages"), ("prompt", "messages")];

/// The whole body under one name.
const WHOLE: &str = "request";

/// The compiled templates of a declaration.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    provider: Text,
    /// Templates of headers and body, by the setting they stand in.
    plain: Environment<'static>,
    /// The template of the path, whose values are percent-encoded.
    encoded: Environment<'static>,
    has_path: bool,
    /// Name and setting.
    headers: Vec<(String, String)>,
    body: Body,
    reads: BTreeSet<String>,
}

#[derive(Clone, Debug)]
enum Body {
    /// A text template.
    Text(String),
    /// A tree of templates.
    Tree(Node),
}

/// A part of the body. Texts are names of templates.
#[derive(Clone, Debug)]
enum Node {
    /// As it is.
    Constant(Value),
    /// The value of an expression, whatever its type.
    Expression(String),
    /// A text with values in it.
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// One value for every element of a list.
    Each {
        item: String,
        list: String,
        only: Option<String>,
        value: Box<Self>,
    },
}

/// Why a template gave nothing.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The setting it stands in.
    pub(super) setting: String,
    pub(super) why: String,
}

/// A request as templates made it.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) path: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Templates {
    /// Compiles them. What cannot be compiled is noted and left out.
    pub(super) fn compile(provider: &Text, declared: &Declaration, mistakes: &mut Vec<Mistake>) -> Self {
        let mut compiler = Compiler { plain: environment(), encoded: environment(), reads: BTreeSet::new(), mistakes };
        compiler.encoded.set_formatter(|out, _, value| percent_encoded(out, value));
        if let Some(path) = &declared.path {
            if !path.starts_with(['/', '?', ':']) {
                let remedy = "begin it with `/`; the server's name belongs into `base_url`";
                compiler.mistake(&["path"], "this is no path behind an address", remedy);
            }
            compiler.template(true, &["path"], path);
        }
        let mut headers = Vec::new();
        for (name, text) in &declared.headers {
            let setting = ["headers", name.as_str()];
            if http_name(name) {
                compiler.template(false, &setting, text);
                headers.push((name.clone(), setting.join(".")));
            } else {
                compiler.mistake(&setting, "this is not the name of a header", "");
            }
        }
        let body = match &declared.body {
            Value::Null => {
                compiler.mistake(&["body"], "the body is missing", "write what requests consist of");
                Body::Tree(Node::Constant(Value::Null))
            }
            Value::String(text) => {
                compiler.template(false, &["body"], text);
                Body::Text("body".to_owned())
            }
            tree => Body::Tree(compiler.node(&mut vec!["body".to_owned()], tree, &mut Vec::new())),
        };
        let Compiler { plain, encoded, reads, .. } = compiler;
        let has_path = declared.path.is_some();
        let made = Self { provider: provider.clone(), plain, encoded, has_path, headers, body, reads };
        if mistakes.is_empty() {
            made.check_conversation(mistakes);
        }
        made
    }

    /// A request without its conversation makes no sense.
    fn check_conversation(&self, mistakes: &mut Vec<Mistake>) {
        let setting = vec!["body".to_owned()];
        if !self.reads("messages") {
            let message = "no template reads the conversation".to_owned();
            let remedy = "use `messages`, `turns` with `system`, or `prompt`";
            mistakes.push(Mistake { setting, message, remedy });
        } else if self.reads.contains("turns")
            && !["system", "messages", "prompt", WHOLE].iter().any(|name| self.reads.contains(*name))
        {
            let message =
                "`turns` is the conversation without its instructions, and no template reads those".to_owned();
            let remedy = "use `system` for them, or `messages` instead of `turns`";
            mistakes.push(Mistake { setting, message, remedy });
        }
    }

    /// Whether a template reads this member of a Chat body.
    pub(super) fn reads(&self, member: &str) -> bool {
        self.reads.contains(WHOLE)
            || self.reads.contains(member)
            || MADE_UP.iter().any(|(name, stands_for)| *stands_for == member && self.reads.contains(*name))
    }

    pub(super) fn read_members(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().map(String::as_str)
    }

    pub(super) fn provider(&self) -> &Text {
        &self.provider
    }

    /// Renders a request.
    ///
    /// # Errors
    /// [`Failure`] of the first template that fails.
    pub(super) fn render(&self, context: Map<String, Value>) -> Result<Rendered, Failure> {
        let context: Item = Serde(Value::Object(context)).into();
        let path = if self.has_path { Some(text(&self.encoded, "path", &context)?) } else { None };
        let headers = self.headers.iter().map(|(name, setting)| {
            let value = text(&self.plain, setting, &context)?;
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(failure(setting, "what it renders to cannot stand in a header"));
            }
            Ok((name.clone(), value))
        });
        // A header without a value is none.
        let headers: Vec<(String, String)> = headers.collect::<Result<_, _>>()?;
        let headers = headers.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let body = match &self.body {
            Body::Text(name) => {
                let body = text(&self.plain, name, &context)?;
                serde_json::from_str::<serde::de::IgnoredAny>(&body)
                    .map_err(|error| failure(name, &format!("what it renders to is not JSON: {error}")))?;
                body.into_bytes()
            }
            Body::Tree(node) => {
                let value = self.value(node, &context)?.unwrap_or_else(|| Value::Object(Map::new()));
                value.to_string().into_bytes()
            }
        };
        Ok(Rendered { path, headers, body })
    }

    /// What a part of the body is; `None` for nothing.
    fn value(&self, node: &Node, context: &Item) -> Result<Option<Value>, Failure> {
        Ok(match node {
            Node::Constant(value) => Some(value.clone()),
            Node::Expression(name) => json(name, &self.evaluate(name, context)?)?,
            Node::Text(name) => Some(text(&self.plain, name, context)?.into()),
            Node::List(nodes) => {
                let values = nodes.iter().filter_map(|node| self.value(node, context).transpose());
                let values = values.collect::<Result<Vec<_>, _>>()?;
                (!values.is_empty()).then_some(Value::Array(values))
            }
            Node::Object(members) => {
                let mut object = Map::new();
                for (name, node) in members {
                    if let Some(value) = self.value(node, context)? {
                        object.insert(name.clone(), value);
                    }
                }
                (!object.is_empty()).then_some(Value::Object(object))
            }
            Node::Each { item, list, only, value } => {
                let items = self.evaluate(list, context)?;
                if items.is_undefined() || items.is_none() {
                    return Ok(None);
                }
                let items = items.try_iter().map_err(|error| why(list, &error))?;
                let mut values = Vec::new();
                for element in items.checked() {
                    let element = element.map_err(|error| why(list, &error))?;
                    let inside = merge_maps([Item::from_pairs([(item.as_str(), element)]), context.clone()]);
                    if let Some(only) = only
                        && !self.evaluate(only, &inside)?.is_true()
                    {
                        continue;
                    }
                    values.extend(self.value(value, &inside)?);
                }
                (!values.is_empty()).then_some(Value::Array(values))
            }
        })
    }

    fn evaluate(&self, name: &str, context: &Item) -> Result<Item, Failure> {
        let template = self.plain.get_template(name).map_err(|error| why(name, &error))?;
        let rendered = template.render_captured(context.clone()).map_err(|error| why(name, &error))?;
        Ok(rendered.state().lookup(RESULT).unwrap_or_default())
    }
}

/// An environment in which templates reach nothing but what they are given.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(|out, _, value| write_text(out, value));
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    filters::add(&mut environment);
    environment
}

/// A value as the text it stands for: nothing is nothing, what is no text is JSON.
fn shown(value: &Item) -> Result<Cow<'_, str>, minijinja::Error> {
    match value.as_str() {
        Some(text) => Ok(text.into()),
        None if value.is_undefined() || value.is_none() => Ok("".into()),
        None => Ok(filters::to_json(value)?.into()),
    }
}

fn unwritten(_: std::fmt::Error) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::WriteFailure, "no room for it")
}

fn write_text(out: &mut Output<'_>, value: &Item) -> Result<(), minijinja::Error> {
    out.write_str(&shown(value)?).map_err(unwritten)
}

/// Writes a value of the path: nothing in it can leave its place.
fn percent_encoded(out: &mut Output<'_>, value: &Item) -> Result<(), minijinja::Error> {
    for byte in shown(value)?.bytes() {
        let written = match byte {
            b'-' | b'_' | b'.' | b'~' => out.write_char(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.write_char(char::from(byte)),
            byte => write!(out, "%{byte:02X}"),
        };
        written.map_err(unwritten)?;
    }
    Ok(())
}

fn text(environment: &Environment<'static>, name: &str, context: &Item) -> Result<String, Failure> {
    let template = environment.get_template(name).map_err(|error| why(name, &error))?;
    template.render(context.clone()).map_err(|error| why(name, &error))
}

/// A value as JSON; `None` for nothing.
fn json(setting: &str, item: &Item) -> Result<Option<Value>, Failure> {
    if item.is_undefined() || item.is_none() {
        return Ok(None);
    }
    serde_json::to_value(item).map(Some).map_err(|error| failure(setting, &format!("it is no JSON value: {error}")))
}

fn failure(setting: &str, why: &str) -> Failure {
    Failure { setting: setting.to_owned(), why: why.to_owned() }
}

fn why(setting: &str, error: &minijinja::Error) -> Failure {
    failure(setting, &explained(error))
}

/// What went wrong, and in which line of a longer template.
fn explained(error: &minijinja::Error) -> String {
    let mut words = error.kind().to_string();
    if let Some(detail) = error.detail() {
        words = format!("{words}: {detail}");
    }
    match error.line() {
        Some(line) if line > 1 => format!("{words} (line {line} of the template)"),
        _ => words,
    }
}

/// Whether a text can be the name of a header.
fn http_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What compiling needs.
struct Compiler<'m> {
    plain: Environment<'static>,
    encoded: Environment<'static>,
    reads: BTreeSet<String>,
    mistakes: &'m mut Vec<Mistake>,
}

impl Compiler<'_> {
    fn mistake(&mut self, setting: &[&str], message: impl Into<String>, remedy: &'static str) {
        let setting = setting.iter().map(|step| (*step).to_owned()).collect();
        self.mistakes.push(Mistake { setting, message: message.into(), remedy });
    }

    /// Adds a template under the name of its setting.
    fn template(&mut self, encoded: bool, setting: &[&str], source: &str) -> bool {
        self.add(encoded, setting, &setting.join("."), source, &[])
    }

    /// `own` are names that have their value from around the template.
    fn add(&mut self, encoded: bool, setting: &[&str], name: &str, source: &str, own: &[String]) -> bool {
        let environment = if encoded { &mut self.encoded } else { &mut self.plain };
        if let Err(error) = environment.add_template_owned(name.to_owned(), source.to_owned()) {
            self.mistake(setting, format!("the template cannot be read: {}", explained(&error)), "");
            return false;
        }
        if let Ok(template) = environment.get_template(name) {
            let read = template.undeclared_variables(false);
            self.reads.extend(read.into_iter().filter(|name| !own.contains(name)));
        }
        true
    }

    /// Adds an expression; false if it is none.
    fn expression(&mut self, setting: &[&str], name: &str, source: &str, own: &[String]) -> bool {
        if let Err(error) = self.plain.compile_expression_owned(source.to_owned()) {
            self.mistake(setting, format!("the expression cannot be read: {}", explained(&error)), "");
            return false;
        }
        self.add(false, setting, name, &format!("{{% set {RESULT} = {source} %}}"), own)
    }

    fn node(&mut self, path: &mut Vec<String>, value: &Value, own: &mut Vec<String>) -> Node {
        let setting: Vec<String> = path.clone();
        let setting: Vec<&str> = setting.iter().map(String::as_str).collect();
        if path.len() > DEPTH {
            self.mistake(&setting, "the body is nested too deeply", "");
            return Node::Constant(Value::Null);
        }
        match value {
            Value::String(text) if text.contains("{{") || text.contains("{%") => {
                let name = setting.join(".");
                match lone_expression(text) {
                    Some(source) if self.plain.compile_expression_owned(source.to_owned()).is_ok() => {
                        self.expression(&setting, &name, source, own);
                        Node::Expression(name)
                    }
                    _ => {
                        self.add(false, &setting, &name, text, own);
                        Node::Text(name)
                    }
                }
            }
            Value::Array(values) if !values.is_empty() => {
                let nodes = values.iter().enumerate().map(|(index, value)| {
                    path.push(index.to_string());
                    let node = self.node(path, value, own);
                    path.pop();
                    node
                });
                Node::List(nodes.collect())
            }
            Value::Object(members) if members.contains_key(FOR) => self.each(path, members, own),
            Value::Object(members) if !members.is_empty() => {
                let nodes = members.iter().map(|(name, value)| {
                    path.push(name.clone());
                    let node = self.node(path, value, own);
                    path.pop();
                    (name.clone(), node)
                });
                Node::Object(nodes.collect())
            }
            constant => Node::Constant(constant.clone()),
        }
    }

    /// `{ $for: "message in messages", $if: "…", $do: … }`
    fn each(&mut self, path: &mut Vec<String>, members: &Map<String, Value>, own: &mut Vec<String>) -> Node {
        let setting: Vec<String> = path.clone();
        let setting: Vec<&str> = setting.iter().map(String::as_str).collect();
        let nothing = Node::Constant(Value::Null);
        if let Some(name) = members.keys().find(|name| ![FOR, IF, DO].contains(&name.as_str())) {
            self.mistake(
                &setting,
                format!("`{name}` stands beside `{FOR}`"),
                "a list has `$for`, `$do` and perhaps `$if`",
            );
            return nothing;
        }
        let head = members.get(FOR).and_then(Value::as_str).and_then(|text| text.split_once(" in "));
        let (Some((item, list)), Some(value)) = (head, members.get(DO)) else {
            let remedy = "write `$for: message in messages` and `$do:` with what becomes of each";
            self.mistake(&setting, "this is no list made of another", remedy);
            return nothing;
        };
        let item = item.trim();
        if item.is_empty() || !item.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            self.mistake(&setting, format!("`{item}` cannot be a name"), "write `$for: message in messages`");
            return nothing;
        }
        let name = |step: &str| format!("{}.{step}", setting.join("."));
        self.expression(&setting, &name(FOR), list.trim(), own);
        own.push(item.to_owned());
        let only = members.get(IF).map(|only| {
            let source = only.as_str().unwrap_or_default();
            self.expression(&setting, &name(IF), source, own);
            name(IF)
        });
        path.push(DO.to_owned());
        let value = self.node(path, value, own);
        path.pop();
        own.pop();
        Node::Each { item: item.to_owned(), list: name(FOR), only, value: Box::new(value) }
    }
}

/// What stands in `{{ … }}`, if the text is nothing else.
fn lone_expression(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.strip_prefix('-').unwrap_or(inside);
    Some(inside.strip_suffix('-').unwrap_or(inside).trim())
}
