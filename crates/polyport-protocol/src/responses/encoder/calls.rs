//! Calls of client tools and of tools that the provider runs.

use polyport_types::{
    Extras, PartId, PartStatus, Protocol, ServerToolCall, ServerToolCallStart, ServerToolResult, Tool, ToolCallKind,
    ToolCallStart,
};

use super::{Encoder, state_word};
use crate::carrier::Placement;
use crate::responses::hosted::{CodeRun, Hosted, hosted_query, printed};
use crate::responses::write::{CallItem, call_id};

/// A call that is being written.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) part: PartId,
    pub(super) index: Option<u32>,
    pub(super) id: String,
    pub(super) call_id: String,
    pub(super) start: ToolCallStart,
    pub(super) arguments: String,
    /// The client declared a free-form tool: the input stands in one member of the arguments.
    pub(super) unwrap: bool,
}
impl Encoder {
    pub(super) fn call_start(&mut self, part: PartId, mut start: ToolCallStart, out: &mut Vec<u8>) {
        self.settle(out);
        let signature = start.signature.take();
        self.carry(signature.as_ref(), Placement::Next, out);
        let unwrap = start.kind == ToolCallKind::Function && self.declared_custom(&start);
        if unwrap {
            start.kind = ToolCallKind::Custom;
        }
        let prefix = match start.kind {
            ToolCallKind::Custom => "ctc",
            ToolCallKind::Function => "fc",
            ToolCallKind::Builtin(_) => "item",
        };
        let id = self.item_id(prefix, start.item_id.as_ref());
        let call_id = call_id(&start.id).into_owned();
        let mut call = Call { part, index: None, id, call_id, start, arguments: String::new(), unwrap };
        if !unwrap && !matches!(call.start.kind, ToolCallKind::Builtin(_)) {
            self.call_added(&mut call, out);
        }
        self.calls.push(call);
    }

    /// Whether the client offered this tool as a free-form one.
    pub(super) fn declared_custom(&self, start: &ToolCallStart) -> bool {
        self.context.request.tools.iter().any(|tool| match tool {
            Tool::Custom(tool) => tool.name == start.name && tool.namespace == start.namespace,
            Tool::Function(_) | Tool::Server(_) => false,
        })
    }

    pub(super) fn call_added(&mut self, call: &mut Call, out: &mut Vec<u8>) {
        let index = self.reserve();
        call.index = Some(index);
        let native = self.context.provider == Protocol::Responses;
        let item = call.item(native, "", "in_progress", true);
        self.sink.frame(out, "response.output_item.added", |w| {
            w.num("output_index", index);
            w.key("item");
            item.write(w);
        });
    }

    pub(super) fn call_end(&mut self, mut call: Call, status: PartStatus, out: &mut Vec<u8>) {
        let native = self.context.provider == Protocol::Responses;
        if call.unwrap {
            call.arguments = repair_input(&call.arguments);
        }
        if matches!(call.start.kind, ToolCallKind::Builtin(_)) {
            let index = self.reserve();
            if call.item(native, &call.arguments, "completed", false).is_builtin() {
                let item = call.item(native, &call.arguments, "in_progress", false);
                self.added(out, index, |w| item.write(w));
                let item = call.item(native, &call.arguments, state_word(status), false);
                return self.done(out, index, |w| item.write(w));
            }
            // A tool of another maker: a plain function.
            call.start.kind = ToolCallKind::Function;
            call.index = Some(index);
            let item = call.item(native, "", "in_progress", true);
            self.added(out, index, |w| item.write(w));
            self.call_delta(&call, &call.arguments, out);
        } else if call.index.is_none() {
            self.call_added(&mut call, out);
            self.call_delta(&call, &call.arguments, out);
        }
        let custom = call.start.kind == ToolCallKind::Custom;
        let cut = status == PartStatus::Incomplete;
        // No arguments are an empty object, no free text is an empty text.
        let nothing = if custom { "" } else { "{}" };
        if !cut && (call.arguments.is_empty() || !custom && call.arguments.trim().is_empty()) {
            self.call_delta(&call, nothing, out);
            call.arguments.push_str(nothing);
        }
        let Some(index) = call.index else { return };
        if !cut {
            let (kind, member) = if custom {
                ("response.custom_tool_call_input.done", "input")
            } else {
                ("response.function_call_arguments.done", "arguments")
            };
            self.sink.frame(out, kind, |w| {
                w.str("item_id", &call.id);
                w.num("output_index", index);
                if !custom {
                    w.str("name", &call.start.name);
                }
                w.str(member, &call.arguments);
            });
        }
        let item = call.item(native, &call.arguments, state_word(status), true);
        self.done(out, index, |w| item.write(w));
    }

    pub(super) fn call_delta(&mut self, call: &Call, delta: &str, out: &mut Vec<u8>) {
        let Some(index) = call.index else { return };
        let kind = match call.start.kind {
            ToolCallKind::Custom => "response.custom_tool_call_input.delta",
            ToolCallKind::Function | ToolCallKind::Builtin(_) => "response.function_call_arguments.delta",
        };
        self.sink.frame(out, kind, |w| {
            w.str("item_id", &call.id);
            w.num("output_index", index);
            w.str("delta", delta);
        });
    }

    // ----------------------------------------------------------------------------------------------------- server tools

    pub(super) fn hosted_start(&mut self, part: PartId, start: ServerToolCallStart, out: &mut Vec<u8>) {
        self.settle(out);
        let mut hosted = Hosted::new(Some(part), start);
        if hosted.is_native() {
            self.hosted_added(&mut hosted, out);
        }
        self.hosted.push(hosted);
    }

    pub(super) fn hosted_added(&mut self, hosted: &mut Hosted, out: &mut Vec<u8>) {
        let index = self.reserve();
        hosted.index = Some(index);
        hosted.id = self.item_id(hosted.prefix(), Some(&hosted.start.id));
        self.added(out, index, |w| hosted.write_open(w));
        hosted.progress(&mut self.sink, out);
    }

    /// A call of another provider's tool is whole: some have a form here.
    pub(super) fn hosted_end(&mut self, at: usize, out: &mut Vec<u8>) {
        let Some(hosted) = self.hosted.get_mut(at) else { return };
        if hosted.is_native() {
            // Its result will say how it ended.
            hosted.part = None;
            return;
        }
        let hosted = self.hosted.remove(at);
        self.foreign_call(hosted, out);
    }

    pub(super) fn foreign_call(&mut self, mut hosted: Hosted, out: &mut Vec<u8>) {
        if let Some(code) = hosted.code() {
            self.code = Some(CodeRun { call_id: Some(hosted.start.id.clone()), code });
            return;
        }
        let Some(action) = hosted_query(&hosted) else { return };
        hosted.action = Some(action);
        self.hosted_added(&mut hosted, out);
        hosted.finished(&mut self.sink, out);
        let Some(index) = hosted.index else { return };
        self.done(out, index, |w| hosted.write_done(w));
    }

    /// A call in one piece.
    pub(super) fn hosted_call(&mut self, call: ServerToolCall, ext: Extras, out: &mut Vec<u8>) {
        if let (Protocol::Responses, Some(raw)) = (call.protocol, &call.raw) {
            return self.verbatim(raw, out);
        }
        let start = ServerToolCallStart { id: call.id, tool: call.tool, name: call.name, protocol: call.protocol, ext };
        let mut hosted = Hosted::new(None, start);
        hosted.input = call.input.as_str().to_owned();
        if hosted.is_native() {
            self.hosted_added(&mut hosted, out);
            self.hosted.push(hosted);
        } else {
            self.foreign_call(hosted, out);
        }
    }

    pub(super) fn hosted_result(&mut self, result: &ServerToolResult, out: &mut Vec<u8>) {
        let waiting = self.hosted.iter().position(|hosted| hosted.is_native() && hosted.start.id == result.call_id);
        match (result.protocol, &result.raw, waiting) {
            (Protocol::Responses, Some(raw), Some(at)) => {
                let hosted = self.hosted.remove(at);
                hosted.result(raw, &mut self.sink, out);
                let Some(index) = hosted.index else { return };
                let item = hosted.complete(raw);
                self.done(out, index, |w| w.raw_value(&item));
            }
            (Protocol::Responses, Some(raw), None) => {
                self.settle(out);
                self.verbatim(raw, out);
            }
            _ => {
                let ours = self.code.as_ref().is_some_and(|code| code.call_id.as_ref() == Some(&result.call_id));
                if ours {
                    let output = printed(&result.payload);
                    self.code_result(&output, out);
                }
            }
        }
    }

    /// What a program of another provider printed.
    pub(super) fn code_result(&mut self, output: &str, out: &mut Vec<u8>) {
        if let Some(code) = self.code.take() {
            self.settle(out);
            self.code_item(&code, Some(output), out);
        }
    }

    /// A program whose output never came.
    pub(super) fn close_code(&mut self, out: &mut Vec<u8>) {
        if let Some(code) = self.code.take() {
            self.code_item(&code, None, out);
        }
    }

    pub(super) fn code_item(&mut self, code: &CodeRun, output: Option<&str>, out: &mut Vec<u8>) {
        let id = self.item_id("ci", None);
        let index = self.reserve();
        self.added(out, index, |w| code.write(w, &id, "in_progress", "", None));
        code.progress(&mut self.sink, &id, index, out);
        self.done(out, index, |w| code.write(w, &id, "completed", &code.code, output));
    }
}

/// The text of a free-form tool out of the arguments of the function that stood for it.
fn repair_input(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Input {
        input: String,
    }
    serde_json::from_str::<Input>(arguments).map_or_else(|_| arguments.to_owned(), |input| input.input)
}
impl Call {
    pub(super) fn item<'a>(&'a self, native: bool, arguments: &'a str, status: &'a str, exact: bool) -> CallItem<'a> {
        CallItem {
            id: Some(&self.id),
            call_id: &self.call_id,
            name: &self.start.name,
            namespace: self.start.namespace.as_deref(),
            kind: &self.start.kind,
            arguments,
            status: Some(status),
            caller: self.start.caller.as_ref().filter(|_| native),
            ext: native.then_some(&self.start.ext),
            exact,
        }
    }
}
