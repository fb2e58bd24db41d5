//! Tools with a schema that their provider fixed and that the client runs: anybody can be offered them as functions.

use polyport_types::{ServerTool, ServerToolKind};
use serde_json::{Value, json};

/// What stands for such a tool: name of the `OpenAI` item without `_call`, description, schema of the action.
pub(super) struct Action {
    pub(super) item: &'static str,
    pub(super) description: String,
    pub(super) schema: Value,
}

/// The function for a tool of `OpenAI`'s Responses.
pub(super) fn openai(tool: &ServerTool) -> Action {
    match &tool.kind {
        ServerToolKind::Shell => Action {
            item: "shell",
            description: "Runs shell commands on the user's machine and returns their output.".to_owned(),
            schema: object(
                json!({
                    "commands": {"type": "array", "items": {"type": "string"},
                        "description": "Commands to run, one after the other."},
                    "timeout_ms": {"type": "integer", "description": "Longest time in milliseconds."},
                    "max_output_length": {"type": "integer", "description": "Longest output in characters."},
                }),
                &["commands"],
            ),
        },
        ServerToolKind::LocalShell => Action {
            item: "local_shell",
            description: "Runs a command on the user's machine and returns its output.".to_owned(),
            schema: object(
                json!({
                    "type": {"type": "string", "enum": ["exec"]},
                    "command": {"type": "array", "items": {"type": "string"}, "description": "Program and arguments."},
                    "env": {"type": "object", "additionalProperties": {"type": "string"},
                        "description": "Environment variables to set."},
                    "timeout_ms": {"type": "integer", "description": "Longest time in milliseconds."},
                    "user": {"type": "string", "description": "User to run it as."},
                    "working_directory": {"type": "string"},
                }),
                &["type", "command", "env"],
            ),
        },
        ServerToolKind::ApplyPatch => Action {
            item: "apply_patch",
            description: "Creates, changes or deletes a file in the user's workspace.".to_owned(),
            schema: object(
                json!({
                    "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                    "path": {"type": "string", "description": "Path of the file, relative to the workspace."},
                    "diff": {"type": "string",
                        "description": "Unified diff of the change (V4A), or of the whole new file; not for delete_file."},
                }),
                &["type", "path"],
            ),
        },
        _ => Action {
            item: "computer",
            description: screen("Acts on the screen of a computer. The result is a screenshot.", tool),
            schema: object(
                json!({
                    "type": {"type": "string", "enum": ["click", "double_click", "drag", "keypress", "move", "screenshot",
                        "scroll", "type", "wait"]},
                    "x": {"type": "integer", "description": "For click, double_click, move, scroll."},
                    "y": {"type": "integer", "description": "For click, double_click, move, scroll."},
                    "button": {"type": "string", "enum": ["left", "right", "wheel", "back", "forward"],
                        "description": "For click."},
                    "path": {"type": "array", "description": "For drag: the points to pass.", "items": {"type": "object",
                        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x", "y"]}},
                    "keys": {"type": "array", "items": {"type": "string"}, "description": "For keypress."},
                    "scroll_x": {"type": "integer", "description": "For scroll."},
                    "scroll_y": {"type": "integer", "description": "For scroll."},
                    "text": {"type": "string", "description": "For type."},
                }),
                &["type"],
            ),
        },
    }
}

/// The function for a tool of Anthropic's Messages.
pub(super) fn anthropic(tool: &ServerTool) -> (String, Value) {
    match &tool.kind {
        ServerToolKind::Bash => (
            "Runs a command in a persistent bash session and returns its output.".to_owned(),
            object(
                json!({
                    "command": {"type": "string", "description": "The command to run. Required unless restart is set."},
                    "restart": {"type": "boolean", "description": "Start the session anew."},
                }),
                &[],
            ),
        ),
        ServerToolKind::TextEditor => (
            "Views, creates and edits text files.".to_owned(),
            object(
                json!({
                    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                    "path": {"type": "string", "description": "Absolute path of the file or directory."},
                    "file_text": {"type": "string", "description": "For create: content of the file."},
                    "old_str": {"type": "string", "description": "For str_replace: text to replace, unique in the file."},
                    "new_str": {"type": "string", "description": "For str_replace: the new text."},
                    "insert_line": {"type": "integer", "description": "For insert: line after which to insert; 0 is the start."},
                    "insert_text": {"type": "string", "description": "For insert: the text."},
                    "view_range": {"type": "array", "items": {"type": "integer"},
                        "description": "For view: first and last line, from 1; -1 is the end."},
                }),
                &["command", "path"],
            ),
        ),
        ServerToolKind::Memory => (
            "Keeps notes in files under /memories over several conversations.".to_owned(),
            object(
                json!({
                    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
                    "path": {"type": "string", "description": "Path below /memories; not for rename."},
                    "view_range": {"type": "array", "items": {"type": "integer"}, "description": "For view: first and last line."},
                    "file_text": {"type": "string", "description": "For create: content of the file."},
                    "old_str": {"type": "string", "description": "For str_replace: text to replace, unique in the file."},
                    "new_str": {"type": "string", "description": "For str_replace: the new text."},
                    "insert_line": {"type": "integer", "description": "For insert: line after which to insert."},
                    "insert_text": {"type": "string", "description": "For insert: the text."},
                    "old_path": {"type": "string", "description": "For rename."},
                    "new_path": {"type": "string", "description": "For rename."},
                }),
                &["command"],
            ),
        ),
        ServerToolKind::Computer => (
            screen("Acts on the screen of a computer with mouse and keyboard.", tool),
            object(
                json!({
                    "action": {"type": "string", "enum": ["key", "type", "mouse_move", "left_click", "left_click_drag",
                        "right_click", "middle_click", "double_click", "triple_click", "left_mouse_down", "left_mouse_up",
                        "scroll", "hold_key", "wait", "screenshot", "cursor_position", "zoom"]},
                    "coordinate": {"type": "array", "items": {"type": "integer"}, "description": "x and y in pixels."},
                    "start_coordinate": {"type": "array", "items": {"type": "integer"},
                        "description": "For left_click_drag: where it begins."},
                    "text": {"type": "string", "description": "For type, key, hold_key; keys to hold while clicking or scrolling."},
                    "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                    "scroll_amount": {"type": "integer", "description": "Number of scroll steps."},
                    "duration": {"type": "number", "description": "For wait and hold_key: seconds."},
                    "region": {"type": "array", "items": {"type": "integer"},
                        "description": "For zoom: left, top, right, bottom in pixels."},
                }),
                &["action"],
            ),
        ),
        _ => (
            "Acts in a browser.".to_owned(),
            object(json!({"action": {"type": "string", "description": "What to do."}}), &["action"]),
        ),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object"});
    if let Some(map) = schema.as_object_mut() {
        map.insert("properties".to_owned(), properties);
        if !required.is_empty() {
            map.insert("required".to_owned(), required.into());
        }
    }
    schema
}

/// A description that says how large the screen is.
fn screen(description: &str, tool: &ServerTool) -> String {
    let raw = tool.raw.to_value();
    let number = |names: [&str; 2]| names.iter().find_map(|name| raw.get(*name)).and_then(Value::as_u64);
    match (number(["display_width_px", "display_width"]), number(["display_height_px", "display_height"])) {
        (Some(width), Some(height)) => format!("{description} The screen has {width} × {height} pixels."),
        _ => description.to_owned(),
    }
}
